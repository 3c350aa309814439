//! Show what running containers use, again and again.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_runtime::container::list::{Filters, ListOptions, list};
use knarr_runtime::container::stats::{Sample, sample};
use knarr_runtime::{container, reconcile};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only once
    #[arg(long)]
    no_stream: bool,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// All that run if none is named
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const LISTING: Listing = Listing {
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Container", "CONTAINER"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "",
};

/// How long use is measured before it is shown.
const INTERVAL: Duration = Duration::from_secs(1);

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let terminal = std::io::stdout().is_terminal();
    let mut earlier = samples(&store, &chosen(args, &store)?)?;
    loop {
        // there is no event to wait for: use is what happens in a time
        std::thread::sleep(INTERVAL);
        let ids = chosen(args, &store)?;
        let now = samples(&store, &ids)?;
        let rows = ids.iter().map(|(id, name)| row(args, id, name, now.get(id), earlier.get(id)));
        let text = LISTING.render(args.format.as_deref(), false, rows)?;
        if terminal && !args.no_stream {
            // from the top, over what is there: no flicker
            ui::data(format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")).as_bytes())?;
        } else {
            ui::data(text.as_bytes())?;
        }
        if args.no_stream {
            return Ok(0);
        }
        earlier = now;
    }
}

/// Ids and names.
fn chosen(args: &Args, store: &Store) -> Result<Vec<(ContainerId, String)>, Failure> {
    if !args.containers.is_empty() {
        let named = |name: &String| Ok((container::find(store, name)?, name.clone()));
        return args.containers.iter().map(named).collect();
    }
    let options = ListOptions { all: args.all, ..ListOptions::default() };
    let found = list(store, &Filters::default(), &options)?.containers;
    Ok(found.into_iter().map(|c| (c.id, c.name)).collect())
}

fn samples(
    store: &Store,
    ids: &[(ContainerId, String)],
) -> Result<HashMap<ContainerId, Sample>, Failure> {
    let mut samples = HashMap::new();
    for (id, _) in ids {
        if let Some(container) = reconcile::container(store.root(), id)?
            && let Some(sample) = sample(store.root(), &container)?
        {
            samples.insert(id.clone(), sample);
        }
    }
    Ok(samples)
}

fn row(
    args: &Args,
    id: &ContainerId,
    name: &str,
    now: Option<&Sample>,
    earlier: Option<&Sample>,
) -> Row {
    let shown = if args.no_trunc { id.as_str() } else { id.short() };
    let row = Row::new().text("ID", shown).text("Container", name).text("Name", name);
    let Some(now) = now else {
        return ["CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"]
            .into_iter()
            .fold(row, |row, field| row.text(field, "--"));
    };
    let percent = |n: Option<f64>| n.map_or("--".into(), |n| format!("{n:.2}%"));
    let pair = |pair: Option<(u64, u64)>| {
        pair.map_or("--".into(), |(a, b)| format!("{} / {}", units::size(a), units::size(b)))
    };
    let used = now.memory.map_or("--".to_owned(), units::memory);
    row.text("CPUPerc", percent(earlier.and_then(|earlier| now.cpu_percent(earlier))))
        .text("MemUsage", format!("{used} / {}", units::memory(now.memory_limit)))
        .text("MemPerc", percent(now.memory_percent()))
        .text("NetIO", pair(now.network))
        .text("BlockIO", pair(now.blocks))
        .text("PIDs", now.pids.map_or("--".into(), |n| n.to_string()))
}
