//! `system df --verbose`: Docker's sections, one line for each thing.

use crate::commands::builder::du;
use crate::commands::images::{created, short_id, shown_tag};
use crate::commands::volume::ls;
use crate::commands::{Outcome, ps};
use crate::error::Failure;
use crate::ui::listing::{self, Listing, Row};
use crate::ui::{self, units};
use crate::wiring::volume_size;
use jiff::Timestamp;
use knarr_core::image::Reference;
use knarr_core::root::Root;
use knarr_core::store::{Footprint, Store, Usage};
use knarr_packager::build::cache::prune::Entry;
use knarr_runtime::container::list::{self, Filters, ListOptions};
use knarr_runtime::volume::{self, Users};

const IMAGES: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
];
const CONTAINERS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Size", "SIZE"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("Names", "NAMES"),
];
const VOLUMES: &[(&str, &str)] = &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")];
const BUILDS: &[(&str, &str)] = &[
    ("ID", "CACHE ID"),
    ("CacheType", "CACHE TYPE"),
    ("Size", "SIZE"),
    ("LastUsedSince", "LAST USED"),
    ("Shared", "SHARED"),
];

/// A field of the document, its title, and fields with their headings.
type Section = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Docker's fields of the document, and their titles.
const SECTIONS: [Section; 4] = [
    ("Images", "Images", IMAGES),
    ("Containers", "Containers", CONTAINERS),
    ("Volumes", "Local Volumes", VOLUMES),
    ("BuildCache", "Build cache", BUILDS),
];

pub fn run(store: &Store, root: &Root, format: Option<&str>) -> Outcome {
    let all = [images(store, root)?, containers(store)?, volumes(root)?, builds(store)?];
    if let Some(format) = format.filter(|format| *format != "table") {
        let names = SECTIONS.map(|(name, ..)| name);
        ui::data(listing::sections(format, names.into_iter().zip(all))?.as_bytes())?;
        return Ok(0);
    }
    for ((number, rows), (_, title, headings)) in all.into_iter().enumerate().zip(SECTIONS) {
        if number > 0 {
            ui::line("")?;
        }
        section(title, headings, rows)?;
    }
    Ok(0)
}

fn section(title: &str, headings: &[(&str, &str)], rows: Vec<Row>) -> Result<(), Failure> {
    let columns: Vec<_> = headings.iter().map(|(field, _)| format!("{{{{.{field}}}}}")).collect();
    let listing = Listing { headings, table: &columns.join("\t"), quiet: "" };
    ui::line(format_args!("{title} space usage:\n"))?;
    ui::data(listing.render(None, false, rows)?.as_bytes())
}

fn images(store: &Store, root: &Root) -> Result<Vec<Row>, Failure> {
    let now = Timestamp::now();
    let usages = knarr_runtime::container::usages(root)?;
    let mut rows = Vec::new();
    for image in store.images()? {
        // one that was removed meanwhile takes no room
        let Ok(variants) = store.variants(&image) else { continue };
        let mut size = Footprint::default();
        if size.add(store, &image, |_| true).is_err() {
            continue;
        }
        let is_used = |usage: &&Usage| variants.iter().any(|v| v.manifest == usage.manifest);
        let containers = usages.iter().filter(is_used).count();
        let config = variants
            .iter()
            .filter(|variant| variant.present)
            .find_map(|variant| store.config(&store.manifest(&variant.manifest).ok()?).ok());
        let created = created(store, &image, &config.unwrap_or_default());
        let reference = image.reference.as_ref();
        let none = || "<none>".to_owned();
        rows.push(
            Row::new()
                .text("Repository", reference.map_or_else(none, Reference::familiar_name))
                .text("Tag", reference.and_then(shown_tag).map_or_else(none, str::to_owned))
                .text("ID", short_id(image.id()))
                .text("Digest", image.id().to_string())
                .text("CreatedSince", units::ago(created, now))
                .text("CreatedAt", created.map(units::local_time).unwrap_or_default())
                .text("Size", units::size(size.bytes()))
                .text("VirtualSize", units::size(size.bytes()))
                // layers are not told apart here
                .text("SharedSize", "N/A")
                .text("UniqueSize", "N/A")
                .text("Containers", containers.to_string()),
        );
    }
    Ok(rows)
}

fn containers(store: &Store) -> Result<Vec<Row>, Failure> {
    let now = Timestamp::now();
    let options = ListOptions { all: true, last: None, size: true };
    let found = list::list(store, &Filters::default(), &options)?.containers;
    let row = |c: &list::Summary| {
        let mut row = ps::row(c, false, now);
        row.set("Size", units::size(c.size.map_or(0, |size| size.writable)));
        row
    };
    Ok(found.iter().map(row).collect())
}

fn volumes(root: &Root) -> Result<Vec<Row>, Failure> {
    let users = Users::read(root)?;
    let mut rows = Vec::new();
    for volume in volume::list(root)? {
        let mut row = ls::row(root, &volume)?;
        row.set("Links", users.of(&volume.name).count().to_string());
        row.set("Size", units::size(volume_size(root, &volume)));
        rows.push(row);
    }
    Ok(rows)
}

/// How often and from what is not written down.
fn builds(store: &Store) -> Result<Vec<Row>, Failure> {
    let now = Timestamp::now();
    let (_, entries, _) = crate::commands::builder::entries(store)?;
    let row = |entry: &Entry| {
        let last_used = Timestamp::try_from(entry.last_used).ok();
        Row::new()
            .text("ID", &entry.id)
            .text("Parent", "")
            .text("CacheType", du::kind(entry.kind))
            .text("Description", &entry.description)
            .text("InUse", entry.shared.to_string())
            .text("Shared", entry.shared.to_string())
            .text("Size", units::size(entry.size))
            .text("CreatedAt", "")
            .text("CreatedSince", "")
            .text("LastUsedAt", last_used.map(units::local_time).unwrap_or_default())
            .text("LastUsedSince", units::ago(last_used, now))
            .text("UsageCount", "")
    };
    Ok(entries.iter().map(row).collect())
}
