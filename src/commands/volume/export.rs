//! Write what is in a volume to a tar archive.

use crate::commands::save::write_to;
use crate::commands::{Context, Outcome};
use knarr_runtime::volume;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The volume whose files are written
    #[arg(value_name = "VOLUME")]
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    // before a file is made for nothing
    volume::find(&context.root, &args.name)?;
    write_to(args.output.as_ref(), |out| Ok(volume::export(&context.root, &args.name, out)?))
}
