//! Show how much room things take.

mod details;

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::{size_of, volume_size};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::store::{Footprint, Store};
use knarr_runtime::container::list::{self, Filters, ListOptions};
use knarr_runtime::state::Status;
use knarr_runtime::volume::{self, Users};
use std::collections::HashSet;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// List every image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

const LISTING: Listing = Listing {
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    quiet: "{{.Type}}",
};

/// One line: how many, how many in use, bytes, bytes that nobody uses.
struct Line(&'static str, usize, usize, u64, u64);

pub fn run(args: &Args, context: &Context) -> Outcome {
    let (store, root) = (context.store()?, &context.root);
    context.among_owners();
    if args.verbose {
        return details::run(&store, root, args.format.as_deref());
    }
    let lines = [
        images(&store, root)?,
        containers(&store)?,
        volumes(root)?,
        builds(&store)?,
        modules(root),
    ];
    let rows = lines.map(|Line(kind, total, active, size, unused)| {
        let reclaimable = match unused.checked_mul(100).and_then(|n| n.checked_div(size)) {
            Some(percent) => format!("{} ({percent}%)", units::size(unused)),
            None => units::size(unused),
        };
        Row::new()
            .text("Type", kind)
            .text("TotalCount", total.to_string())
            .text("Active", active.to_string())
            .text("Size", units::size(size))
            .text("Reclaimable", reclaimable)
    });
    ui::data(LISTING.render(args.format.as_deref(), false, rows)?.as_bytes())?;
    Ok(0)
}

/// Blobs and unpacked layers, each once: what `image prune --all` gives back is what no container uses of them.
fn images(store: &Store, root: &Root) -> Result<Line, Failure> {
    let usages = knarr_runtime::container::usages(root)?;
    let used: HashSet<_> = usages.iter().map(|usage| &usage.manifest).collect();
    let (mut ids, mut active, mut in_use) = (HashSet::new(), 0, Footprint::default());
    for image in store.images()? {
        if !ids.insert(image.id().clone()) {
            continue;
        }
        // one that cannot be read, or was removed meanwhile, is not in use
        let variants = store.variants(&image).unwrap_or_default();
        if variants.iter().any(|variant| used.contains(&variant.manifest)) {
            active += 1;
            // an image stays as a whole
            let _ = in_use.add(store, &image, |_| true);
        }
    }
    let mut layers = crate::commands::builder::used_layers(store)?;
    layers.extend(usages.into_iter().flat_map(|usage| usage.layers));
    let size = store.bytes(&layers)?;
    Ok(Line("Images", ids.len(), active, size, size.saturating_sub(in_use.bytes())))
}

fn containers(store: &Store) -> Result<Line, Failure> {
    let options = ListOptions { all: true, last: None, size: true };
    let found = list::list(store, &Filters::default(), &options)?.containers;
    let (mut active, mut size, mut unused) = (0, 0, 0);
    for container in &found {
        let bytes = container.size.map_or(0, |size| size.writable);
        size += bytes;
        match container.status {
            Status::Running | Status::Paused => active += 1,
            _ => unused += bytes,
        }
    }
    Ok(Line("Containers", found.len(), active, size, unused))
}

fn volumes(root: &Root) -> Result<Line, Failure> {
    let (mut active, mut size, mut unused) = (0, 0, 0);
    let all = volume::list(root)?;
    let users = Users::read(root)?;
    for volume in &all {
        let bytes = volume_size(root, volume);
        size += bytes;
        match users.is_used(&volume.name) {
            true => active += 1,
            false => unused += bytes,
        }
    }
    Ok(Line("Local Volumes", all.len(), active, size, unused))
}

/// What steps of builds resulted in. Nobody uses it in the sense of the others: each can be made again.
fn builds(store: &Store) -> Result<Line, Failure> {
    let (_, entries, _) = crate::commands::builder::entries(store)?;
    let size = entries.iter().map(|entry| entry.size).sum();
    let unused = entries.iter().filter(|entry| !entry.shared).map(|entry| entry.size).sum();
    let active = entries.iter().filter(|entry| entry.shared).count();
    Ok(Line("Build Cache", entries.len(), active, size, unused))
}

/// The modules that were compiled ahead of time: each can be made again.
fn modules(root: &Root) -> Line {
    let cache = root.wasm_cache();
    let list = |folder: &std::path::Path| fsx::list(folder).unwrap_or_default();
    let names = list(&cache).into_iter().flat_map(|folder| list(&cache.join(folder)));
    let count = names.filter(|name| name.ends_with(".cwasm")).count();
    let size = size_of(&cache);
    Line("Compiled Modules", count, 0, size, size)
}
