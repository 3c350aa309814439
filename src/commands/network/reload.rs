//! Put the packet filter's rules back after the host's firewall was reloaded.

use crate::commands::{Context, Outcome};
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, context: &Context) -> Outcome {
    net::reload(&context.root)?;
    Ok(0)
}
