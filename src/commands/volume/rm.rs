//! Remove volumes.

use crate::commands::{Context, Outcome, each};
use knarr_runtime::volume;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Do not complain about volumes that do not exist
    #[arg(short, long)]
    force: bool,
    /// Names of volumes
    #[arg(value_name = "VOLUME", required = true)]
    names: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    each(&args.names, |name| {
        let removed = match args.dry_run {
            true => volume::removable(root, name),
            false => volume::remove(root, name, None),
        };
        match removed {
            Err(volume::Error::NotFound { .. }) if args.force => {}
            result => result?,
        }
        Ok(Some(name.to_owned()))
    })
}
