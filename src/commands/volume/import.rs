//! Put what is in a tar archive into a volume.

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::compression::{decompress, room};
use knarr_core::fsx;
use knarr_runtime::volume::{self, NewVolume};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Made if it does not exist
    #[arg(value_name = "VOLUME")]
    name: String,
    /// A tar archive, also compressed (gzip, bzip2, xz, zstd); without it, or with -, standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let input: Box<dyn Read> = match file {
        Some(file) => Box::new(fsx::open(file)?),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("there is no archive on standard input")
                .hint("name it after the volume, or redirect standard input"));
        }
        None => Box::new(std::io::stdin().lock()),
    };
    let mut archive = decompress(input, room(context.root.data()))
        .map_err(|error| Failure::new("cannot read the archive").cause(&error))?;
    let new = NewVolume { name: args.name.clone(), ..NewVolume::default() };
    volume::create(&context.root, new)?;
    volume::import(&context.root, &args.name, &mut archive)?;
    ui::line(&args.name)?;
    Ok(0)
}
