//! Remove containers.

use super::{Context, Outcome, each};
use knarr_runtime::container::{self, remove::Remove};
use knarr_runtime::state;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kill it first if it runs, and do not complain if there is none
    #[arg(short, long)]
    force: bool,
    /// Its anonymous volumes as well
    #[arg(short, long)]
    volumes: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let options = Remove { force: args.force, volumes: args.volumes };
    each(&args.containers, |name| {
        let id = match container::find(&store, name) {
            Err(container::Error::State(state::Error::NotFound { .. })) if args.force => {
                return Ok(None);
            }
            found => found?,
        };
        container::remove(&store, &id, options)?;
        Ok(Some(name.to_owned()))
    })
}
