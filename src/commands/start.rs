//! Start stopped containers.

use super::{Context, Outcome, each};
use crate::error::Failure;
use knarr_runtime::container::{self, run};
use knarr_runtime::monitor::Attach;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what the container prints, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass standard input on; implies --attach
    #[arg(short, long)]
    interactive: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    if args.attach || args.interactive {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::usage("only one container can be attached to"));
        };
        let options = Attach {
            stdin: args.interactive,
            detach_keys: super::attach::keys(args.detach_keys.as_deref())?,
            forward_signals: true,
        };
        let id = container::find(&store, name)?;
        return Ok(super::attach::status(&run::start_attached(&store, &id, &options)?));
    }
    each(&args.containers, |name| {
        container::start(&store, &container::find(&store, name)?)?;
        Ok(Some(name.to_owned()))
    })
}
