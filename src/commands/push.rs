//! Upload an image to a registry.

use super::{Context, Outcome};
use crate::args::value::platform;
use crate::ui::{self, progress};
use knarr_core::image::{Platform, Reference};
use knarr_packager::registry::{self, Config, PushOptions};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the variant for this platform
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Print only the digest
    #[arg(short, long)]
    quiet: bool,
    /// The image, whose name says to which registry
    #[arg(value_name = "NAME[:TAG]")]
    image: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let reference: Reference = args.image.parse()?;
    let store = context.store()?;
    store.find(&args.image)?;
    let progress = progress::choose(args.quiet);
    if !args.quiet {
        progress.status(&format!("The push refers to repository [{}]", reference.name()));
    }
    let options = PushOptions { platform: args.platform.clone() };
    let pushed = registry::push(&store, &reference, &options, &Config::load()?, &*progress)?;
    match args.quiet {
        true => ui::line(pushed.digest())?,
        false => ui::line(format_args!(
            "{}: digest: {} size: {}",
            reference.tag().unwrap_or("latest"),
            pushed.digest(),
            pushed.size()
        ))?,
    }
    Ok(0)
}
