//! `knarr system …`

pub mod df;
pub mod prune;
pub mod reset;

use super::{Context, Outcome, events, info};
use clap::Subcommand;

/// Manage Knarr's own state
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Show how much room images, containers, volumes and compiled modules take
    Df(df::Args),
    /// Show what happens to containers, images, networks and volumes
    Events(events::Args),
    /// Show what this machine and this user allow
    Info(info::Args),
    /// Remove what is not used
    Prune(prune::Args),
    /// Remove everything: containers, networks, volumes, images and Knarr's own directories
    Reset(reset::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Df(args) => df::run(&args, context),
        Verb::Events(args) => events::run(&args, context),
        Verb::Info(args) => info::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Reset(args) => reset::run(&args, context),
    }
}
