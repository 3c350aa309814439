//! `inspect` and `image inspect`.

mod image;

use super::{Context, Outcome};
use crate::args::container::platform;
use crate::error::{FAILED, Failure};
use crate::ui::{self, listing};
use knarr_core::image::Platform;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Of the variant for this platform
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    show(args.format.as_deref(), &args.names, |name| {
        image::document(&store, &store.find(name)?, None)
    })
}

pub fn run_image(args: &ImageArgs, context: &Context) -> Outcome {
    let store = context.store()?;
    show(args.format.as_deref(), &args.images, |name| {
        image::document(&store, &store.find(name)?, args.platform.as_ref())
    })
}

/// Prints what is found, and reports what is not, as Docker does.
pub fn show<D: Serialize>(
    format: Option<&str>,
    names: &[String],
    find: impl Fn(&str) -> Result<D, Failure>,
) -> Outcome {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find(name) {
            Ok(document) => found.push(document),
            Err(failure) => failures.push(failure),
        }
    }
    ui::data(listing::documents(format, &found)?.as_bytes())?;
    failures.iter().for_each(ui::failure);
    Ok(if failures.is_empty() { 0 } else { FAILED })
}
