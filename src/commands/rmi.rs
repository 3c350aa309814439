//! Remove images.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::usages;
use knarr_core::store::{self, Removed};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Remove even if a stopped container uses it, and all names of an id; do not fail if there is none
    #[arg(short, long)]
    force: bool,
    /// Accepted for Docker's sake: an image has no untagged parents
    #[arg(long)]
    no_prune: bool,
    /// Images, by their names or the beginning of their ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let usages = usages(&context.root);
    super::each(&args.images, |name| {
        let removed = match args.dry_run {
            true => store.would_remove(name, args.force, &usages),
            false => store.remove(name, args.force, &usages),
        };
        let removed = match removed {
            // to pull it would not help here
            Err(error @ store::Error::NotFound { .. }) => {
                let failure = Failure::from(error).hint("'knarr images' lists all images");
                if !args.force {
                    return Err(failure);
                }
                ui::failure(&failure);
                return Ok(None);
            }
            removed => removed?,
        };
        for removed in removed {
            match removed {
                Removed::Untagged(reference) => {
                    ui::line(format_args!("Untagged: {}", reference.familiar()))?
                }
                Removed::Image(id) => ui::line(format_args!("Deleted: {id}"))?,
                Removed::Blob { .. } | Removed::Layer { .. } | Removed::Leftover { .. } => {}
            }
        }
        Ok(None)
    })
}
