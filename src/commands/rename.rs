//! Give a container another name.

use super::{Context, Outcome};
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    container::rename(&store, &container::find(&store, &args.container)?, &args.name)?;
    Ok(0)
}
