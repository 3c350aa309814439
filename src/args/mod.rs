//! The command line: Docker's verbs, flags and spelling.
//!
//! The options of a verb are beside what it does, in `commands/<verb>.rs`; here are the tree and the options
//! that several verbs share.

pub mod build;
pub mod consent;
pub mod container;
pub mod filter;
pub mod health;
pub mod isolation;
pub mod network;
mod security;
pub mod time;
mod unknown;
pub mod usage;
pub mod value;

use crate::commands::{
    self, builder, container as container_verbs, image, network as network_verbs, system, volume,
};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Run, build and ship container images that hold a Wasm and a Linux variant.
#[derive(Debug, Parser)]
#[command(
    name = "knarr",
    version = concat!(env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_override_self = true,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands",
    after_help = "Run 'knarr COMMAND --help' for more information on a command."
)]
pub struct Cli {
    /// Keep all state in this directory [env: KNARR_ROOT]
    #[arg(long, global = true, value_name = "DIR", display_order = 10_000)]
    pub root: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Create and run a new container
    Run(Box<commands::run::Args>),
    /// Run a command in a running container
    Exec(commands::exec::Args),
    /// Build an image, also of several variants, from a Dockerfile
    Build(Box<commands::build::Args>),
    /// List containers
    Ps(commands::ps::Args),
    /// Show what a container printed
    Logs(commands::logs::Args),
    /// List images and their variants
    Images(commands::images::Args),
    /// Download an image from a registry
    Pull(commands::pull::Args),
    /// Upload an image to a registry
    Push(commands::push::Args),
    /// Log in to a registry
    Login(commands::login::Args),
    /// Log out from a registry
    Logout(commands::logout::Args),
    /// Create a container without starting it
    Create(Box<commands::create::Args>),
    /// Start stopped containers
    Start(commands::start::Args),
    /// Stop containers
    Stop(commands::stop::Args),
    /// Restart containers
    Restart(commands::restart::Args),
    /// Send a signal to containers
    Kill(commands::kill::Args),
    /// Wait until containers end, and print their exit codes
    Wait(commands::wait::Args),
    /// Stop all processes of containers where they stand
    Pause(commands::pause::Args),
    /// Let paused containers go on
    Unpause(commands::unpause::Args),
    /// Remove containers
    Rm(commands::rm::Args),
    /// Give a container another name
    Rename(commands::rename::Args),
    /// Attach to a running container
    Attach(commands::attach::Args),
    /// Copy files between a container and this machine
    Cp(commands::cp::Args),
    /// Make an image of a container
    Commit(commands::commit::Args),
    /// Show what a container has changed of its image's files
    Diff(commands::diff::Args),
    /// Write a container's file system to a tar archive
    Export(commands::export::Args),
    /// Show the processes of a container
    Top(commands::top::Args),
    /// Show what running containers use
    Stats(commands::stats::Args),
    /// Show what happens to containers, images, networks and volumes
    Events(commands::events::Args),
    /// Show a container's published ports
    Port(commands::port::Args),
    /// Show details of containers, images or volumes
    Inspect(commands::inspect::Args),
    /// Remove images
    Rmi(commands::rmi::Args),
    /// Give an image another name
    Tag(commands::tag::Args),
    /// Show how an image came to be
    History(commands::history::Args),
    /// Write images to a tar archive
    Save(commands::save::Args),
    /// Read images from an archive (OCI or Docker, also compressed) or from an OCI layout
    Load(commands::load::Args),
    /// Make an image of a root file system's tarball
    Import(commands::import::Args),
    /// Make an image of a Wasm module and of native programs, without a Dockerfile
    Package(Box<commands::package::Args>),
    /// Run projects of several containers (compose files)
    Compose(Box<commands::compose::Args>),
    /// Manage the cache of builds
    #[command(subcommand)]
    Builder(builder::Verb),
    /// The same under the names of Docker's plugin
    #[command(subcommand, hide = true)]
    Buildx(builder::Buildx),
    /// Manage containers
    #[command(subcommand)]
    Container(container_verbs::Verb),
    /// Manage images
    #[command(subcommand)]
    Image(image::Verb),
    /// Manage networks
    #[command(subcommand)]
    Network(network_verbs::Verb),
    /// Manage volumes
    #[command(subcommand)]
    Volume(volume::Verb),
    /// Manage Knarr's own state
    #[command(subcommand)]
    System(system::Verb),
    /// Look after the health of containers
    #[command(subcommand)]
    Healthcheck(commands::healthcheck::Verb),
    /// Show what this machine and this user allow
    Info(commands::info::Args),
    /// Show the version
    Version(commands::version::Args),
    /// Print a shell's completion script
    Completion(commands::completion::Args),
}
