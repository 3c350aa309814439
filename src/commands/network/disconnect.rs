//! Take a container from a network.

use crate::commands::{Context, Outcome};
use knarr_runtime::{container, net};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not complain about a container or a network that does not exist, or that have nothing to do with each other
    #[arg(short, long)]
    force: bool,
    /// The network, by its name or the beginning of its id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = match container::find(&store, &args.container) {
        Err(_) if args.force => return Ok(0),
        id => id?,
    };
    match container::disconnect(&context.root, &id, &args.network) {
        Err(container::Error::Net(net::Error::NotFound { .. } | net::Error::NotJoined { .. }))
            if args.force =>
        {
            Ok(0)
        }
        result => result.map(|()| 0).map_err(Into::into),
    }
}
