//! List containers.

use super::{Context, Outcome};
use crate::ui::listing::{Listing, Row};
use crate::ui::template::Value;
use crate::ui::{self, units};
use jiff::Timestamp;
use knarr_runtime::container::list::{self, Filters, ListOptions, Summary};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Show only some: status=exited, name=PATTERN, label=NAME[=VALUE], ancestor=IMAGE, id=, exited=, …
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The newest ones, whether they run or not
    #[arg(short = 'n', long, value_name = "NUMBER")]
    last: Option<usize>,
    /// The newest one, whether it runs or not
    #[arg(short, long)]
    latest: bool,
    /// Print ids and commands in full
    #[arg(long)]
    no_trunc: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Print how much room they take
    #[arg(short, long)]
    size: bool,
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Label", "LABEL"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
    ("Engine", "ENGINE"),
];
const TABLE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TABLE_WITH_SIZE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let options = ListOptions {
        all: args.all,
        last: if args.latest { Some(1) } else { args.last },
        // a template that shows it needs it measured
        size: args.size || args.format.as_deref().is_some_and(|f| f.contains(".Size")),
    };
    if options.size {
        context.among_owners();
    }
    let found = list::list(&store, &Filters::parse(&args.filter)?, &options)?;
    for damaged in &found.damaged {
        ui::warning(format_args!("the record of container {} is damaged", damaged.id.short()));
    }
    let now = Timestamp::now();
    let rows = found.containers.iter().map(|container| row(container, args.no_trunc, now));
    let table = if args.size { TABLE_WITH_SIZE } else { TABLE };
    let listing = Listing { headings: HEADINGS, table, quiet: "{{.ID}}" };
    ui::data(listing.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}

pub fn row(container: &Summary, full: bool, now: Timestamp) -> Row {
    let id = if full { container.id.as_str() } else { container.id.short() };
    let command = container.command.join(" ");
    let command = if full { command } else { units::ellipsis(&command, 20) };
    let mounts =
        container.mounts.iter().map(|m| if full { m.clone() } else { units::ellipsis(m, 15) });
    let mounts: Vec<_> = mounts.collect();
    let volumes = container.mounts.iter().filter(|m| !m.starts_with('/')).count();
    let size = container.size.map(|size| {
        format!("{} (virtual {})", units::size(size.writable), units::size(size.total))
    });
    Row::new()
        .text("ID", id)
        .text("Names", &container.name)
        .text("Image", &container.image)
        .text("Command", format!("{command:?}"))
        .text("CreatedAt", units::local_time(container.created))
        .text("RunningFor", units::ago(Some(container.created), now))
        .text("Status", container.status_text(now))
        .text("State", container.status.to_string())
        .text("Ports", list::ports_text(&container.ports, &container.exposed))
        .text("Size", size.unwrap_or_default())
        .text("Mounts", mounts.join(","))
        .text("LocalVolumes", volumes.to_string())
        .text("Networks", container.network.clone())
        .value("Platform", Value::Text(container.platform.to_string()))
        .text("Engine", container.engine.to_string())
        .labels(&container.labels)
}
