//! `knarr image …`: the verbs on images under Docker's longer names.

pub mod prune;

use super::{
    Context, Outcome, build, history, images, import, inspect, load, pull, push, rmi, save, tag,
};
use clap::Subcommand;

/// Manage images
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Build an image, also of several variants, from a Dockerfile
    Build(Box<build::Args>),
    /// Show how an image came to be
    History(history::Args),
    /// Make an image of a root file system's tarball
    Import(import::Args),
    /// Show details of images
    Inspect(inspect::ImageArgs),
    /// Read images from an archive (OCI or Docker, also compressed) or from an OCI layout
    Load(load::Args),
    /// List images and their variants
    #[command(visible_alias = "list")]
    Ls(images::Args),
    /// Remove images that no container uses
    Prune(prune::Args),
    /// Download an image from a registry
    Pull(pull::Args),
    /// Upload an image to a registry
    Push(push::Args),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    /// Write images to a tar archive
    Save(save::Args),
    /// Give an image another name
    Tag(tag::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Build(args) => build::run(&args, context),
        Verb::History(args) => history::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Inspect(args) => inspect::run_image(&args, context),
        Verb::Load(args) => load::run(&args, context),
        Verb::Ls(args) => images::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Pull(args) => pull::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Rm(args) => rmi::run(&args, context),
        Verb::Save(args) => save::run(&args, context),
        Verb::Tag(args) => tag::run(&args, context),
    }
}
