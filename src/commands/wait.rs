//! Wait until containers end, and print their exit codes.

use super::{Context, Outcome, each};
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    each(&args.containers, |name| {
        let code = container::wait(&store, &container::find(&store, name)?)?;
        Ok(Some(code.to_string()))
    })
}
