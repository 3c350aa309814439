//! The command line: Docker's verbs, flags and spelling.
//!
//! The options of a verb are beside what it does, in `commands/<verb>.rs`; here are the tree and the options
//! that several verbs share.

pub mod container;
pub mod filter;
pub mod usage;

use crate::commands::{self, image};
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
    #[arg(long, global = true, value_name = "DIR")]
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
    Images(commands::images::Args),
    Pull(commands::pull::Args),
    Push(commands::push::Args),
    Login(commands::login::Args),
    Logout(commands::logout::Args),
    Rmi(commands::rmi::Args),
    Tag(commands::tag::Args),
    Inspect(commands::inspect::Args),
    History(commands::history::Args),
    Save(commands::save::Args),
    Load(commands::load::Args),
    Import(commands::import::Args),
    #[command(subcommand)]
    Image(image::Verb),
    Version(commands::version::Args),
}
