//! List volumes.

use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::ui::listing::{Listing, Row};
use knarr_core::root::Root;
use knarr_runtime::volume::{self, Users, Volume};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only some: dangling=true, name=PATTERN, label=NAME[=VALUE], driver=local
    #[arg(short, long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
}

const LISTING: Listing = Listing {
    headings: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Scope", "SCOPE"),
        ("Labels", "LABELS"),
        ("Label", "LABEL"),
        ("Links", "LINKS"),
        ("Size", "SIZE"),
        ("Availability", "AVAILABILITY"),
        ("Group", "GROUP"),
        ("Status", "STATUS"),
    ],
    table: "{{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
};

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    filter::check(&args.filter, &["dangling", "name", "label", "driver"])?;
    let mut volumes = volume::list(root)?;
    let values = |key| filter::values(&args.filter, key);
    let labels = values("label");
    volumes.retain(|v| labels.iter().all(|label| filter::has_label(&v.labels, label)));
    let (has_name, drivers) = (filter::patterns(&args.filter, "name")?, values("driver"));
    volumes.retain(|v| has_name(&v.name));
    volumes.retain(|_| drivers.is_empty() || drivers.contains(&"local"));
    for wanted in values("dangling") {
        let wanted = filter::switch("dangling", wanted)?;
        let users = Users::read(root)?;
        volumes.retain(|v| users.is_used(&v.name) != wanted);
    }
    let mut rows = Vec::new();
    for volume in &volumes {
        rows.push(row(root, volume)?);
    }
    ui::data(LISTING.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}

/// What is not measured here, and what only volumes of a cluster have, is said as Docker says it.
pub fn row(root: &Root, volume: &Volume) -> Result<Row, Failure> {
    let none = "N/A";
    Ok(Row::new()
        .text("Driver", "local")
        .text("Name", &volume.name)
        .text("Scope", "local")
        .text("Mountpoint", volume.data(root)?.display().to_string())
        .text("Links", none)
        .text("Size", none)
        .text("Availability", none)
        .text("Group", none)
        .text("Status", none)
        .labels(&volume.labels))
}
