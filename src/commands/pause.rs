//! Stop all processes of containers where they stand.

use super::{Context, Outcome, each};
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    each(&args.containers, |name| {
        container::pause(&store, &container::find(&store, name)?)?;
        Ok(Some(name.to_owned()))
    })
}
