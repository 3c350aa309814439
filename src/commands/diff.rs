//! Show what a container has changed of its image's files.

use super::{Context, Outcome};
use crate::ui;
use knarr_core::store::changes::ChangeKind;
use knarr_runtime::container;

#[derive(Debug, clap::Args)]
#[command(after_help = "A: added, C: changed, D: deleted")]
pub struct Args {
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    context.among_owners();
    for change in container::diff(&store, &id)? {
        let kind = match change.kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        ui::line(format_args!("{kind} {}", change.path.display()))?;
    }
    Ok(0)
}
