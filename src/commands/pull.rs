//! Download an image from a registry.

use super::{Context, Outcome};
use crate::args::value::platform;
use crate::error::Failure;
use crate::ui::{self, progress};
use crate::wiring::{compile, variant};
use knarr_core::image::{Platform, Reference};
use knarr_packager::registry::{self, Config, PullOptions};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Credentials are read from ~/.docker/config.json. Registries that speak plain HTTP, and mirrors, are \
    listed in ~/.config/knarr/registries.json: {\"insecure\": [\"host:port\"], \"mirrors\": {\"docker.io\": [\"host:port\"]}}"
)]
pub struct Args {
    /// Every variant of the image, not only the one that runs here
    #[arg(long)]
    all_platforms: bool,
    /// The variant for this platform, for example wasi/wasm or linux/amd64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Print only the image's name
    #[arg(short, long)]
    quiet: bool,
    /// The image, with its registry if that is not Docker Hub
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    if args.all_platforms && args.platform.is_some() {
        return Err(Failure::usage("--all-platforms and --platform exclude each other"));
    }
    let reference: Reference = args.image.parse()?;
    let store = context.store()?;
    context.among_owners();
    let options = PullOptions {
        platform: args.platform.clone(),
        runnable: variant::runnable(),
        all_platforms: args.all_platforms,
    };
    let progress = progress::choose(args.quiet);
    if !args.quiet {
        let tag = reference.tag().unwrap_or_else(|| reference.digest().map_or("", AsRef::as_ref));
        progress.status(&format!("{tag}: Pulling from {}", reference.familiar_name()));
    }
    let image = registry::pull(&store, &reference, &options, &Config::load()?, &*progress)?;
    compile::image(&store, &image, args.quiet);
    ui::line(&reference)?;
    Ok(0)
}
