//! `knarr container …`: the verbs on containers under Docker's longer names.

pub mod prune;

use super::*;
use clap::Subcommand;

/// Manage containers
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Attach to a running container
    Attach(attach::Args),
    /// Make an image of a container
    Commit(commit::Args),
    /// Copy files between a container and this machine
    Cp(cp::Args),
    /// Create a container without starting it
    Create(Box<create::Args>),
    /// Show what a container has changed of its image's files
    Diff(diff::Args),
    /// Run a command in a running container
    Exec(exec::Args),
    /// Write a container's file system to a tar archive
    Export(export::Args),
    /// Show details of containers
    Inspect(inspect::ContainerArgs),
    /// Send a signal to containers
    Kill(kill::Args),
    /// Show what a container printed
    Logs(logs::Args),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Args),
    /// Stop all processes of containers where they stand
    Pause(pause::Args),
    /// Show a container's published ports
    Port(port::Args),
    /// Remove the containers that do not run
    Prune(prune::Args),
    /// Give a container another name
    Rename(rename::Args),
    /// Restart containers
    Restart(restart::Args),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    /// Create and run a new container
    Run(Box<run::Args>),
    /// Start stopped containers
    Start(start::Args),
    /// Show what running containers use
    Stats(stats::Args),
    /// Stop containers
    Stop(stop::Args),
    /// Show the processes of a container
    Top(top::Args),
    /// Let paused containers go on
    Unpause(unpause::Args),
    /// Wait until containers end, and print their exit codes
    Wait(wait::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Attach(args) => attach::run(&args, context),
        Verb::Commit(args) => commit::run(&args, context),
        Verb::Cp(args) => cp::run(&args, context),
        Verb::Create(args) => create::run(&args, context),
        Verb::Diff(args) => diff::run(&args, context),
        Verb::Exec(args) => exec::run(&args, context),
        Verb::Export(args) => export::run(&args, context),
        Verb::Inspect(args) => inspect::run_container(&args, context),
        Verb::Kill(args) => kill::run(&args, context),
        Verb::Logs(args) => logs::run(&args, context),
        Verb::Ls(args) => ps::run(&args, context),
        Verb::Pause(args) => pause::run(&args, context),
        Verb::Port(args) => port::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Rename(args) => rename::run(&args, context),
        Verb::Restart(args) => restart::run(&args, context),
        Verb::Rm(args) => rm::run(&args, context),
        Verb::Run(args) => run::run(&args, context),
        Verb::Start(args) => start::run(&args, context),
        Verb::Stats(args) => stats::run(&args, context),
        Verb::Stop(args) => stop::run(&args, context),
        Verb::Top(args) => top::run(&args, context),
        Verb::Unpause(args) => unpause::run(&args, context),
        Verb::Wait(args) => wait::run(&args, context),
    }
}
