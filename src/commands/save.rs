//! Write images to a tar archive.

use super::{Context, Outcome};
use crate::args::value::platform;
use crate::error::Failure;
use crate::ui;
use knarr_core::fsx;
use knarr_core::image::{Platform, Reference};
use knarr_core::store::{Image, Store};
use knarr_packager::archive::{self, Format, SaveOptions};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write oci-archive (which Docker reads as well) or docker-archive (for older tools; one variant)
    #[arg(long, value_name = "FORMAT", default_value = "oci-archive", hide_default_value = true)]
    format: String,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only the variant for this platform
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Images, by their names or the beginning of their ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let format: Format = args.format.parse()?;
    let options = SaveOptions { format, platform: args.platform.clone() };
    let store = context.store()?;
    let mut images = Vec::new();
    for name in &args.images {
        for image in named(&store, name)? {
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    write_to(args.output.as_ref(), |out| Ok(archive::save(&store, &images, out, &options)?))
}

/// What a name stands for: an image under this name, one without a name if it is an id, and all of a repository if it has
/// neither tag nor digest (as Docker has it).
fn named(store: &Store, name: &str) -> Result<Vec<Image>, Failure> {
    let of_repository: Vec<Image> = match name.parse::<Reference>() {
        // a name alone: the parser has added a tag
        Ok(reference)
            if !name.contains('@') && !name.ends_with(&format!(":{}", tag(&reference))) =>
        {
            let is_of = |image: &Image| {
                let own = image.reference.as_ref();
                own.is_some_and(|r| r.name() == reference.name() && r.digest().is_none())
            };
            store.images()?.into_iter().filter(is_of).collect()
        }
        _ => Vec::new(),
    };
    if !of_repository.is_empty() {
        return Ok(of_repository);
    }
    let mut image = store.find(name)?;
    if !image.is_named(name) {
        image.reference = None;
    }
    Ok(vec![image])
}

fn tag(reference: &Reference) -> &str {
    reference.tag().unwrap_or_default()
}

pub fn to_output(write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Outcome {
    let mut out = BufWriter::with_capacity(256 << 10, ui::data_writer());
    write(&mut out)?;
    ui::written(out.flush())?;
    Ok(0)
}

/// Writes to a file, which appears when it is complete, or to standard output, unless that is a terminal.
pub fn write_to(
    file: Option<&PathBuf>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Outcome {
    let Some(path) = file else {
        if std::io::stdout().is_terminal() {
            return Err(Failure::usage("an archive is not for a terminal")
                .hint("write it to a file with --output FILE, or redirect standard output"));
        }
        return to_output(write);
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot write {}", path.display())).cause(&error)
    };
    let special = path.metadata().is_ok_and(|m| !m.is_file());
    if special {
        // a pipe or a device
        let options = std::fs::OpenOptions::new().write(true).clone();
        let mut out = BufWriter::with_capacity(256 << 10, fsx::open_with(path, &options)?);
        write(&mut out)?;
        out.flush().map_err(failed)?;
        return Ok(0);
    }
    let file = tempfile::Builder::new().prefix(".knarr-").tempfile_in(folder).map_err(failed)?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    write(&mut out)?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(0)
}
