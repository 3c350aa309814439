//! Write a container's file system to a tar archive.

use super::save::write_to;
use super::{Context, Outcome};
use knarr_runtime::container;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    write_to(args.output.as_ref(), |out| Ok(container::export(&store, &id, out)?))
}
