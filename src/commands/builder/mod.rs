//! `knarr builder …`: the cache of builds.

pub mod du;
pub mod prune;

use super::{Context, Outcome, build};
use crate::error::Failure;
use clap::Subcommand;
use knarr_core::image::Digest;
use knarr_core::store::{Store, chain_ids};
use knarr_packager::build::cache::Cache;
use knarr_packager::build::cache::prune::{Entry, usage};
use std::collections::HashSet;

/// Manage the cache of builds
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Build an image, also of several variants, from a Dockerfile
    #[command(hide = true)]
    Build(Box<build::Args>),
    /// Show what the cache holds
    Du(du::Args),
    /// Remove what the cache holds
    Prune(prune::Args),
}

/// The same under the names of Docker's plugin
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Buildx {
    /// Build an image, also of several variants, from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Box<build::Args>),
    /// Show what the cache holds
    Du(du::Args),
    /// Remove what the cache holds
    Prune(prune::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Build(args) => build::run(&args, context),
        Verb::Du(args) => du::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
    }
}

pub fn buildx(verb: Buildx, context: &Context) -> Outcome {
    match verb {
        Buildx::Build(args) => build::run(&args, context),
        Buildx::Du(args) => du::run(&args, context),
        Buildx::Prune(args) => prune::run(&args, context),
    }
}

/// The layers that images have, by chain id: a step whose layer is one of them takes no room of its own.
pub fn used_layers(store: &Store) -> Result<HashSet<Digest>, Failure> {
    let mut used = HashSet::new();
    for image in store.images()? {
        // what cannot be read is not in use
        for variant in store.variants(&image).unwrap_or_default().iter().filter(|v| v.present) {
            let Ok(manifest) = store.manifest(&variant.manifest) else { continue };
            let Ok(config) = store.config(&manifest) else { continue };
            let diff_ids: Result<Vec<Digest>, _> =
                config.rootfs.diff_ids.iter().map(|text| text.parse()).collect();
            used.extend(chain_ids(&diff_ids.unwrap_or_default()));
        }
    }
    Ok(used)
}

/// What the cache holds, the largest first.
pub fn entries(store: &Store) -> Result<(Cache, Vec<Entry>, HashSet<Digest>), Failure> {
    let cache = Cache::open(store)?;
    let used = used_layers(store)?;
    let mut entries = usage(&cache, &used)?;
    entries.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    Ok((cache, entries, used))
}
