//! Show what the cache of builds holds.

use super::entries;
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use jiff::Timestamp;
use knarr_packager::build::cache::prune::{Entry, Kind};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only some: type=step|mount|download, description=TEXT
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show whole descriptions
    #[arg(long, visible_alias = "no-trunc")]
    verbose: bool,
}

const LISTING: Listing = Listing {
    headings: &[
        ("ID", "ID"),
        ("Type", "TYPE"),
        ("Size", "SIZE"),
        ("Shared", "SHARED"),
        ("LastUsed", "LAST USED"),
        ("Description", "DESCRIPTION"),
    ],
    table: "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.Shared}}\t{{.LastUsed}}\t{{.Description}}",
    quiet: "{{.ID}}",
};

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    context.among_owners();
    let (_, mut entries, _) = entries(&store)?;
    entries.retain(matching(&args.filter)?);
    let now = Timestamp::now();
    let rows = entries.iter().map(|entry| {
        let last_used = Timestamp::try_from(entry.last_used).ok();
        let description = match args.verbose {
            true => entry.description.clone(),
            false => units::ellipsis(&one_line(&entry.description), 60),
        };
        Row::new()
            .text("ID", entry.id.chars().take(12).collect::<String>())
            .text("Type", kind(entry.kind))
            .text("Size", units::size(entry.size))
            .text("Shared", entry.shared.to_string())
            .text("LastUsed", units::ago(last_used, now))
            .text("Description", description)
    });
    ui::data(LISTING.render(args.format.as_deref(), false, rows)?.as_bytes())?;
    if args.format.is_none() {
        let own: u64 = entries.iter().filter(|e| !e.shared).map(|e| e.size).sum();
        let all: u64 = entries.iter().map(|e| e.size).sum();
        ui::line(format_args!("Reclaimable: {}\nTotal: {}", units::size(own), units::size(all)))?;
    }
    Ok(0)
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Step => "step",
        Kind::Mount => "mount",
        Kind::Download => "download",
    }
}

pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Entries that satisfy every filter; values of the same filter are alternatives.
pub fn matching(filters: &[Filter]) -> Result<impl Fn(&Entry) -> bool + use<>, Failure> {
    filter::check(filters, &["type", "description", "until", "unused-for"])?;
    let values = |key| filter::values(filters, key).into_iter().map(str::to_owned).collect();
    let (types, descriptions): (Vec<String>, Vec<String>) = (values("type"), values("description"));
    if let Some(unknown) =
        types.iter().find(|t| !["step", "mount", "download"].contains(&t.as_str()))
    {
        return Err(Failure::usage(format!("there is no type {unknown:?} of cache"))
            .hint("the types are step, mount and download"));
    }
    Ok(move |entry: &Entry| {
        (types.is_empty() || types.iter().any(|wanted| wanted == kind(entry.kind)))
            && (descriptions.is_empty()
                || descriptions.iter().any(|text| entry.description.contains(text.as_str())))
    })
}
