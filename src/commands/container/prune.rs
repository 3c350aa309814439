//! Remove the containers that do not run.

use crate::args::consent::{Consent, listed};
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, units};
use knarr_core::store::Store;
use knarr_runtime::container::list::{Filters, Summary};
use knarr_runtime::container::prune;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only some: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE], and what 'ps' has
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let candidates = candidates(&store, &args.filter)?;
    if !args.consent.given(show(&candidates).as_slice())? {
        return Ok(0);
    }
    let reclaimed = remove(&store, candidates)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

/// The containers that do not run and that the filters choose.
pub fn candidates(store: &Store, filters: &[Filter]) -> Result<Vec<Summary>, Failure> {
    let of_prune = |filter: &&Filter| ["until", "label!"].contains(&&*filter.key);
    let others = filters.iter().filter(|filter| !of_prune(filter)).map(Filter::text);
    let mut found = prune::candidates(store, &Filters::parse(others)?)?;
    let early = filter::until(filters)?;
    found.retain(|c| filter::is_chosen(filters, &c.labels) && early(Some(c.created)));
    Ok(found)
}

/// Says what is about to go.
pub fn show(candidates: &[Summary]) -> Option<String> {
    let line = |c: &Summary| format!("{} {}", c.id.short(), c.name);
    listed("These containers will be removed:", candidates.iter().map(line))
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
