//! Stop containers.

use super::{Context, Outcome, each_at_once};
use knarr_runtime::container::{self, stop::Stop};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The signal that asks to end, instead of the container's own
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Seconds to wait before SIGKILL; -1 waits for ever
    #[arg(
        short,
        long,
        visible_alias = "time",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    timeout: Option<i64>,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let options = Stop {
        signal: args.signal.clone().filter(|signal| !signal.is_empty()),
        timeout: args.timeout,
    };
    each_at_once(&args.containers, |name| {
        container::stop(&store, &container::find(&store, name)?, &options)?;
        Ok(Some(name.to_owned()))
    })
}
