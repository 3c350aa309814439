//! `knarr image …`: the verbs on images under Docker's longer names.

use super::{Context, Outcome, history, images, import, inspect, load, pull, push, rmi, save, tag};
use clap::Subcommand;

/// Manage images
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    History(history::Args),
    Import(import::Args),
    Inspect(inspect::ImageArgs),
    Load(load::Args),
    #[command(visible_alias = "list")]
    Ls(images::Args),
    Pull(pull::Args),
    Push(push::Args),
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    Save(save::Args),
    Tag(tag::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::History(args) => history::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Inspect(args) => inspect::run_image(&args, context),
        Verb::Load(args) => load::run(&args, context),
        Verb::Ls(args) => images::run(&args, context),
        Verb::Pull(args) => pull::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Rm(args) => rmi::run(&args, context),
        Verb::Save(args) => save::run(&args, context),
        Verb::Tag(args) => tag::run(&args, context),
    }
}
