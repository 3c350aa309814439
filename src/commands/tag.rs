//! Give an image another name.

use super::{Context, Outcome};
use knarr_core::image::Reference;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image, by its name or the beginning of its id
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    /// The name that it gets as well
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let target: Reference = args.target.parse()?;
    if target.digest().is_some() {
        return Err(crate::error::Failure::usage(format!(
            "{:?} has a digest, and a tag cannot have one",
            args.target
        ))
        .hint("leave @sha256:… out"));
    }
    // digests begin so
    if target.familiar_name() == "sha256" {
        return Err(crate::error::Failure::usage("an image cannot be named sha256")
            .hint("take another name: what begins with sha256: is a digest"));
    }
    let store = context.store()?;
    let _hold = store.hold()?;
    let image = store.find(&args.source)?;
    store.tag(&target, image.descriptor.clone())?;
    store.tell("tag", &image.descriptor, Some(&target));
    Ok(0)
}
