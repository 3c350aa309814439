//! `knarr compose …`: projects of several containers, declared in compose files.

mod attach;
mod build;
mod config;
mod cp;
mod create;
mod down;
mod exec;
mod export;
mod follow;
mod images;
mod kill;
mod logs;
mod ls;
mod options;
mod pause;
mod port;
mod ps;
mod pull;
mod push;
mod restart;
mod rm;
mod run;
mod scale;
mod session;
mod start;
mod stats;
mod stop;
mod top;
mod unpause;
mod up;
mod version;
mod volumes;
mod wait;
mod watch;

use super::{Context, Outcome};
use crate::wiring::compose::parse;
use crate::wiring::compose::words::Words;
use clap::Subcommand;
use options::Global;

/// Run projects of several containers from compose files
#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Attach to a service's container
    Attach(attach::Args),
    /// Build the images of services
    Build(build::Args),
    /// Check compose files, and print them in their canonical form
    #[command(visible_alias = "convert")]
    Config(config::Args),
    /// Copy files between a service's container and this machine
    Cp(cp::Args),
    /// Make containers without starting them
    Create(create::Args),
    /// Stop and remove containers and networks
    Down(down::Args),
    /// Run a command in a service's container
    Exec(exec::Args),
    /// Write the file system of a service's container to a tar archive
    Export(export::Args),
    /// List the images that containers were made from
    Images(images::Args),
    /// Send a signal to containers
    Kill(kill::Args),
    /// Show what containers printed
    Logs(logs::Args),
    /// List projects
    Ls(ls::Args),
    /// Stop all processes of containers where they stand
    Pause(pause::Args),
    /// Show where a port of a service is published
    Port(port::Args),
    /// List containers
    Ps(ps::Args),
    /// Download the images of services
    Pull(pull::Args),
    /// Upload the images that services are built as
    Push(push::Args),
    /// Restart containers
    Restart(restart::Args),
    /// Remove stopped containers
    Rm(rm::Args),
    /// Run a command in a new container of a service
    Run(Box<run::Args>),
    /// Change how many containers services have
    Scale(scale::Args),
    /// Start containers that are there
    Start(start::Args),
    /// Show what containers use
    Stats(stats::Args),
    /// Stop containers without removing them
    Stop(stop::Args),
    /// Show the processes of containers
    Top(top::Args),
    /// Let paused containers go on
    Unpause(unpause::Args),
    /// Make and start containers
    Up(Box<up::Args>),
    /// Show the version
    Version(version::Args),
    /// List volumes
    Volumes(volumes::Args),
    /// Wait until a container of one of the services ends
    Wait(wait::Args),
    /// Do what the develop sections say when files change
    Watch(watch::Args),
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let global = &args.global;
    match &args.verb {
        Verb::Attach(args) => attach::run(args, global, context),
        Verb::Build(args) => build::run(args, global, context),
        Verb::Config(args) => config::run(args, global),
        Verb::Cp(args) => cp::run(args, global, context),
        Verb::Create(args) => create::run(args, global, context),
        Verb::Down(args) => down::run(args, global, context),
        Verb::Exec(args) => exec::run(args, global, context),
        Verb::Export(args) => export::run(args, global, context),
        Verb::Images(args) => images::run(args, global, context),
        Verb::Kill(args) => kill::run(args, global, context),
        Verb::Logs(args) => logs::run(args, global, context),
        Verb::Ls(args) => ls::run(args, context),
        Verb::Pause(args) => pause::run(args, global, context),
        Verb::Port(args) => port::run(args, global, context),
        Verb::Ps(args) => ps::run(args, global, context),
        Verb::Pull(args) => pull::run(args, global, context),
        Verb::Push(args) => push::run(args, global, context),
        Verb::Restart(args) => restart::run(args, global, context),
        Verb::Rm(args) => rm::run(args, global, context),
        Verb::Run(args) => run::run(args, global, context),
        Verb::Scale(args) => scale::run(args, global, context),
        Verb::Start(args) => start::run(args, global, context),
        Verb::Stats(args) => stats::run(args, global, context),
        Verb::Stop(args) => stop::run(args, global, context),
        Verb::Top(args) => top::run(args, global, context),
        Verb::Unpause(args) => unpause::run(args, global, context),
        Verb::Up(args) => up::run(args, global, context),
        Verb::Version(args) => version::run(args),
        Verb::Volumes(args) => volumes::run(args, global, context),
        Verb::Wait(args) => wait::run(args, global, context),
        Verb::Watch(args) => watch::run(args, global, context),
    }
}

/// Whether a variable says yes.
fn asks(variable: &str) -> bool {
    switch(variable) == Some(true)
}

/// What a variable says, if that is yes or no.
fn switch(variable: &str) -> Option<bool> {
    crate::args::usage::switch_value(&std::env::var(variable).ok()?)
}
