//! Remove the containers that do not run.

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, terminal, units};
use knarr_core::store::Store;
use knarr_runtime::container::list::{Filters, Summary};
use knarr_runtime::container::prune;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only some: label=NAME[=VALUE], status=…
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let candidates = prune::candidates(&store, &Filters::parse(&args.filter)?)?;
    if !candidates.is_empty() && !args.force {
        show(&candidates);
        if !terminal::confirm("Remove them?")? {
            return Ok(0);
        }
    }
    let reclaimed = remove(&store, candidates)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

pub fn show(candidates: &[Summary]) {
    let lines: Vec<_> =
        candidates.iter().map(|c| format!("  {} {}", c.id.short(), c.name)).collect();
    ui::note(format_args!("These containers will be removed:\n{}", lines.join("\n")));
}

/// Removes them and prints their ids; the bytes that were reclaimed.
pub fn remove(store: &Store, candidates: Vec<Summary>) -> Result<u64, Failure> {
    let (removed, result) = prune::prune(store, candidates);
    if !removed.is_empty() {
        ui::line("Deleted Containers:")?;
        for container in &removed {
            ui::line(&container.id)?;
        }
        ui::line("")?;
    }
    result?;
    Ok(removed.iter().filter_map(|c| c.size).map(|size| size.writable).sum())
}
