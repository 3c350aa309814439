//! Send a signal to containers.

use super::{Context, Outcome, each};
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The signal, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", allow_hyphen_values = true)]
    signal: String,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let signal = if args.signal.is_empty() { "KILL" } else { &args.signal };
    each(&args.containers, |name| {
        container::kill(&store, &container::find(&store, name)?, signal)?;
        Ok(Some(name.to_owned()))
    })
}
