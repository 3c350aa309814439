//! `knarr system …`

pub mod df;
pub mod prune;

use super::{Context, Outcome};
use clap::Subcommand;

/// Manage Knarr's own state
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Show how much room images, containers, volumes and compiled modules take
    Df(df::Args),
    /// Remove what is not used
    Prune(prune::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Df(args) => df::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
    }
}
