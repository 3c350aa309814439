//! `system df --verbose`: Docker's sections, one line for each thing.

use crate::commands::Outcome;
use crate::commands::images::{created, short_id, shown_tag};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::volume_size;
use jiff::Timestamp;
use knarr_core::image::Reference;
use knarr_core::root::Root;
use knarr_core::store::{Footprint, Store, Usage};
use knarr_runtime::container::list::{self, Filters, ListOptions};
use knarr_runtime::volume::{self, Users};

const IMAGES: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("ID", "IMAGE ID"),
    ("Created", "CREATED"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
];
const CONTAINERS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Size", "SIZE"),
    ("Created", "CREATED"),
    ("Status", "STATUS"),
    ("Names", "NAMES"),
];
const VOLUMES: &[(&str, &str)] = &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")];

pub fn run(store: &Store, root: &Root) -> Outcome {
    section("Images", IMAGES, images(store, root)?)?;
    ui::line("")?;
    section("Containers", CONTAINERS, containers(store)?)?;
    ui::line("")?;
    section("Local Volumes", VOLUMES, volumes(root)?)?;
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
                .text("Created", units::ago(created, now))
                .text("Size", units::size(size.bytes()))
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
        let volumes = c.mounts.iter().filter(|mount| !mount.starts_with('/')).count();
        let command = units::ellipsis(&c.command.join(" "), 20);
        Row::new()
            .text("ID", c.id.short())
            .text("Image", &c.image)
            .text("Command", format!("{command:?}"))
            .text("LocalVolumes", volumes.to_string())
            .text("Size", units::size(c.size.map_or(0, |size| size.writable)))
            .text("Created", units::ago(Some(c.created), now))
            .text("Status", c.status_text(now))
            .text("Names", &c.name)
    };
    Ok(found.iter().map(row).collect())
}

fn volumes(root: &Root) -> Result<Vec<Row>, Failure> {
    let users = Users::read(root)?;
    let row = |volume: &volume::Volume| {
        Row::new()
            .text("Name", &volume.name)
            .text("Links", users.of(&volume.name).count().to_string())
            .text("Size", units::size(volume_size(root, volume)))
    };
    Ok(volume::list(root)?.iter().map(row).collect())
}
