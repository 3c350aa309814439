//! `knarr healthcheck …`, Podman's.

use super::{Context, Outcome};
use crate::error::{Failure, KNARR_FAILED};
use crate::ui;
use clap::Subcommand;
use knarr_runtime::container;

/// Look after the health of containers
#[derive(Debug, Subcommand)]
#[command(defer = true, subcommand_value_name = "COMMAND", subcommand_help_heading = "Commands")]
pub enum Verb {
    /// Probe a running container now: 0 if the probe succeeds, 1 if it fails, 125 if there is none
    Run(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    let Verb::Run(args) = verb;
    probe(&args, context).map_err(|failure| failure.status(KNARR_FAILED))
}

fn probe(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    let Some(probed) = container::probe(&store, &id)? else {
        return Err(Failure::new(format!("container {} has no health check", args.container))
            .hint("make it with --health-cmd"));
    };
    if !probed.output.is_empty() {
        ui::note(probed.output.trim_end());
    }
    Ok(u8::from(probed.exit_code != 0))
}
