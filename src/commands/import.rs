//! Make an image of a root file system's tarball.

use super::{Context, Outcome};
use crate::args::value::platform;
use crate::error::Failure;
use crate::ui;
use crate::wiring::compile;
use knarr_core::fsx;
use knarr_core::image::{Platform, Reference};
use knarr_packager::archive::{self, ImportOptions};
use std::io::{BufReader, IsTerminal};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// What the file system is for, for example wasi/wasm
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// The tarball, also compressed; - is standard input
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The name that the image gets
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    if args.file.contains("://") {
        return Err(Failure::usage(format!("{} is not a file", args.file))
            .hint(format!("fetch it first: curl -L {} | knarr import -", args.file)));
    }
    let reference: Option<Reference> = args.reference.as_deref().map(str::parse).transpose()?;
    let options = ImportOptions {
        changes: args.change.clone(),
        platform: args.platform.clone(),
        message: args.message.clone(),
    };
    let store = context.store()?;
    context.among_owners();
    let image = match args.file.as_str() {
        "-" if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no tarball on standard input"));
        }
        "-" => archive::import(&store, &mut std::io::stdin().lock(), reference.as_ref(), &options)?,
        file => {
            let mut file = BufReader::with_capacity(256 << 10, fsx::open(file.as_ref())?);
            archive::import(&store, &mut file, reference.as_ref(), &options)?
        }
    };
    compile::image(&store, &image, true);
    ui::line(image.id())?;
    Ok(0)
}
