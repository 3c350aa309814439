//! `knarr network …`

mod connect;
mod create;
mod disconnect;
pub mod inspect;
mod ls;
pub mod prune;
mod reload;
mod rm;

use super::{Context, Outcome};
use crate::error::Failure;
use clap::Subcommand;
use knarr_runtime::net::rootless;

/// Manage networks
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Give a container a place on a network
    Connect(connect::Args),
    /// Make a network
    Create(create::Args),
    /// Take a container from a network
    Disconnect(disconnect::Args),
    /// Show details of networks
    Inspect(inspect::Args),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove networks to which no container belongs
    Prune(prune::Args),
    /// Put the packet filter's rules back after the host's firewall was reloaded
    Reload(reload::Args),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    let reads = matches!(verb, Verb::Inspect(_) | Verb::Ls(_));
    let _inside = if reads { None } else { inside(context)? };
    match verb {
        Verb::Connect(args) => connect::run(&args, context),
        Verb::Create(args) => create::run(&args, context),
        Verb::Disconnect(args) => disconnect::run(&args, context),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Ls(args) => ls::run(&args, context),
        Verb::Prune(args) => prune::run(&args, context),
        Verb::Reload(args) => reload::run(&args, context),
        Verb::Rm(args) => rm::run(&args, context),
    }
}

/// An ordinary user's networks are changed from inside. For as long as the result lives.
pub fn inside(context: &Context) -> Result<Option<rootless::Entered>, Failure> {
    match rootless::is_outside() {
        true => Ok(rootless::enter_existing(&context.root)?),
        false => Ok(None),
    }
}
