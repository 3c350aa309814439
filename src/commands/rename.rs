//! Give a container another name.

use super::{Context, Outcome};
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The name that it gets
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    container::rename(&store, &container::find(&store, &args.container)?, &args.name)?;
    Ok(0)
}
