//! `knarr volume …`

mod create;
pub mod inspect;
mod ls;
pub mod prune;
mod rm;

use super::{Context, Outcome};
use clap::Subcommand;
use knarr_core::root::Root;
use knarr_core::spec::MountKind;
use knarr_runtime::state;

/// Manage volumes
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Make a volume
    Create(create::Args),
    /// Show details of volumes
    Inspect(inspect::Args),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove anonymous volumes that no container uses
    Prune(prune::Args),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Create(args) => create::run(&args, context),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Ls(args) => ls::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Rm(args) => rm::run(&args, context),
    }
}

/// The containers that use a volume, by name. A damaged record may name any volume.
pub fn users(root: &Root, volume: &str) -> Vec<String> {
    let Ok(containers) = state::all(root) else { return vec!["(unknown)".into()] };
    let uses = |container: Result<state::Container, state::Damaged>| match container {
        Ok(container) => {
            let names =
                |kind: &MountKind| matches!(kind, MountKind::Volume { name, .. } if name == volume);
            let uses = container.spec.mounts.iter().any(|mount| names(&mount.kind));
            uses.then_some(container.state.name)
        }
        Err(damaged) => Some(damaged.id.short().to_owned()),
    };
    containers.into_iter().filter_map(uses).collect()
}
