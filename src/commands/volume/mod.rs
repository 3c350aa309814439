//! `knarr volume …`

mod create;
mod export;
mod import;
pub mod inspect;
pub mod ls;
pub mod prune;
mod rm;

use super::{Context, Outcome};
use clap::Subcommand;

/// Manage volumes
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Make a volume
    Create(create::Args),
    /// Write what is in a volume to a tar archive
    Export(export::Args),
    /// Put what is in a tar archive into a volume
    Import(import::Args),
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
        Verb::Export(args) => export::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Ls(args) => ls::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Rm(args) => rm::run(&args, context),
    }
}
