//! `knarr image …`: the verbs on images under Docker's longer names.

use super::{Context, Outcome, history, images, rmi, tag};
use clap::Subcommand;

/// Manage images
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    History(history::Args),
    #[command(visible_alias = "list")]
    Ls(images::Args),
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    Tag(tag::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::History(args) => history::run(&args, context),
        Verb::Ls(args) => images::run(&args, context),
        Verb::Rm(args) => rmi::run(&args, context),
        Verb::Tag(args) => tag::run(&args, context),
    }
}
