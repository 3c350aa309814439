//! Log out from a registry.

use super::Outcome;
use crate::ui;
use knarr_packager::registry::{self, Config};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The registry; Docker Hub if absent
    #[arg(value_name = "SERVER", default_value = "docker.io", hide_default_value = true)]
    server: String,
}

pub fn run(args: &Args) -> Outcome {
    let config = Config::load()?;
    match registry::logout(&config, &args.server)? {
        true => ui::line(format_args!("Removing login credentials for {}", args.server))?,
        false => ui::line(format_args!("Not logged in to {}", args.server))?,
    }
    Ok(0)
}
