//! Read images from an archive (OCI or Docker, also compressed) or from an OCI layout.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compile;
use knarr_packager::archive;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read from a file or a directory instead of standard input
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    context.among_owners();
    let images = match &args.input {
        Some(path) => archive::load_path(&store, path)?,
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no archive on standard input")
                .hint("name it with --input FILE, or redirect standard input"));
        }
        None => archive::load(&store, &mut std::io::stdin().lock())?,
    };
    for image in &images {
        compile::image(&store, image, args.quiet);
        match &image.reference {
            Some(reference) => ui::line(format_args!("Loaded image: {}", reference.familiar()))?,
            None => ui::line(format_args!("Loaded image ID: {}", image.id()))?,
        }
    }
    Ok(0)
}
