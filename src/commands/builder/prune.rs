//! Remove what the cache of builds holds.

use super::{du, entries};
use crate::args::consent::{Consent, listed};
use crate::args::filter::{self, Filter};
use crate::args::time;
use crate::args::value::size;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, units};
use crate::wiring::usages;
use jiff::Timestamp;
use knarr_core::root::Root;
use knarr_core::store::{Removed, Store};
use knarr_packager::build::cache::prune::{Entry, Filters, candidates, remove_entries};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Everything: also steps whose layers images use, the folders of cache mounts, and downloads
    #[arg(short, long)]
    all: bool,
    /// Only some: until=24h for what was not used for so long; type=…, description=…
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
    /// Keep so much, what was used last
    #[arg(long, visible_aliases = ["max-used-space", "reserved-space"], value_name = "BYTES", value_parser = size)]
    keep_storage: Option<u64>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let matching = du::matching(&args.filter)?;
    let filters =
        Filters { unused_for: unused_for(&args.filter)?, keep: args.keep_storage, all: args.all };
    let store = context.store()?;
    context.among_owners();
    let (cache, _, used) = entries(&store)?;
    let mut doomed = candidates(&cache, &filters, &used)?;
    doomed.retain(matching);
    if !args.consent.given(show(&doomed).as_slice())? {
        return Ok(0);
    }
    let removed = remove_entries(&cache, doomed, args.all && args.filter.is_empty())?;
    let reclaimed = removed.freed.max(collect(&store, &context.root)?);
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

/// What would go, before anybody is asked.
pub fn show(doomed: &[Entry]) -> Option<String> {
    let line = |entry: &Entry| {
        let what = units::ellipsis(&du::one_line(&entry.description), 60);
        format!("{:8} {:>8}  {what}", du::kind(entry.kind), units::size(entry.size))
    };
    listed("This will be removed from the cache of builds:", doomed.iter().map(line))
}

/// Removes what nothing refers to any more; the bytes that were reclaimed.
fn collect(store: &Store, root: &Root) -> Result<u64, Failure> {
    Ok(store.collect(&usages(root))?.iter().map(Removed::bytes).sum())
}

/// `until=24h`, and buildx's older `unused-for`.
fn unused_for(filters: &[Filter]) -> Result<Option<Duration>, Failure> {
    let values = ["until", "unused-for"].iter().flat_map(|key| filter::values(filters, key));
    let Some(text) = values.last() else { return Ok(None) };
    let since = |time: Timestamp| Timestamp::now().duration_since(time);
    let duration = time::duration(text).or_else(|| time::parse(text).ok().map(since));
    duration.and_then(|d| Duration::try_from(d).ok()).map(Some).ok_or_else(|| {
        Failure::usage(format!("{text:?} is not a duration"))
            .hint("write 90m, 24h or 1h30m, or a time that has been")
    })
}

/// The whole cache, for `system prune`: what is listed first.
pub fn all_candidates(store: &Store, all: bool, filters: &[Filter]) -> Result<Vec<Entry>, Failure> {
    let (cache, _, used) = entries(store)?;
    let filters = Filters { all, unused_for: unused_for(filters)?, ..Filters::default() };
    Ok(candidates(&cache, &filters, &used)?)
}

/// Removes them; the layers go with the store's next collection.
pub fn remove_all(store: &Store, doomed: Vec<Entry>, all: bool) -> Result<(), Failure> {
    let (cache, ..) = entries(store)?;
    remove_entries(&cache, doomed, all)?;
    Ok(())
}
