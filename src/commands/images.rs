//! List images and their variants.

use super::{Context, Outcome};
use crate::args::filter::{self, Filter};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::template::Value;
use crate::ui::{self, units};
use jiff::Timestamp;
use knarr_core::image::{Digest, ImageConfig, Reference, Variant};
use knarr_core::store::{Image, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Accepted for Docker's sake: there are no hidden images
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Show only some: reference=PATTERN, dangling=true, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=TIME
    #[arg(short, long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    repository: Option<String>,
}

const HEADINGS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Variants", "VARIANTS"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("Containers", "CONTAINERS"),
];
const TABLE: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Variants}}\t{{.CreatedSince}}\t{{.Size}}";
const TABLE_WITH_DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Variants}}\t{{.CreatedSince}}\t{{.Size}}";

/// One image with what a listing says of it.
struct Entry {
    image: Image,
    variants: Vec<(Variant, u64)>,
    config: ImageConfig,
    created: Option<Timestamp>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let known = ["reference", "dangling", "label", "label!", "before", "since", "until"];
    filter::check(&args.filter, &known)?;
    let mut entries = Vec::new();
    for image in store.images()? {
        let name = image.display_name();
        match describe(&store, image) {
            Ok(entry) => entries.push(entry),
            // one damaged image must not hide the others
            Err(failure) => ui::warning(format_args!("{name}: {}", failure.messages.join(": "))),
        }
    }
    select(args, &store, &mut entries)?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
    let now = Timestamp::now();
    let rows: Vec<Row> = entries.iter().map(|entry| row(args, entry, now)).collect();
    let table = if args.digests { TABLE_WITH_DIGESTS } else { TABLE };
    let listing = Listing { headings: HEADINGS, table, quiet: "{{.ID}}" };
    ui::data(listing.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}

fn describe(store: &Store, image: Image) -> Result<Entry, Failure> {
    let mut variants = Vec::new();
    let mut config = None;
    for variant in store.variants(&image)? {
        let mut size = 0;
        if variant.present {
            size = store.size_of(&variant.manifest)?.content;
            let read = store.config(&store.manifest(&variant.manifest)?)?;
            config.get_or_insert(read);
        }
        variants.push((variant, size));
    }
    let config = config.unwrap_or_default();
    let created = config.created.as_deref().and_then(|t| t.parse().ok());
    Ok(Entry { image, variants, config, created })
}

fn select(args: &Args, store: &Store, entries: &mut Vec<Entry>) -> Result<(), Failure> {
    if let Some(pattern) = &args.repository {
        entries.retain(|e| matches_reference(e.image.reference.as_ref(), pattern));
    }
    let value = |key: &str| filter::values(&args.filter, key);
    let references = value("reference");
    if !references.is_empty() {
        entries.retain(|e| {
            references.iter().any(|p| matches_reference(e.image.reference.as_ref(), p))
        });
    }
    for wanted in value("dangling") {
        let wanted = filter::switch("dangling", wanted)?;
        entries.retain(|e| e.image.reference.is_none() == wanted);
    }
    let early = filter::until(&args.filter)?;
    entries.retain(|e| early(e.created));
    entries.retain(|e| filter::is_chosen(&args.filter, &e.config.config.labels));
    for (key, later) in [("before", false), ("since", true)] {
        for name in value(key) {
            let other = describe(store, store.find(name)?)?;
            entries.retain(|e| match later {
                true => e.created > other.created,
                false => e.created < other.created,
            });
        }
    }
    Ok(())
}

/// A name with or without tag, with `*`, `?` and `[…]` as in Docker.
fn matches_reference(reference: Option<&Reference>, pattern: &str) -> bool {
    let Some(reference) = reference else { return false };
    let forms =
        [reference.familiar_name(), reference.familiar(), reference.name(), reference.to_string()];
    forms.iter().any(|form| filter::glob(pattern, form))
}

fn row(args: &Args, entry: &Entry, now: Timestamp) -> Row {
    let (image, reference) = (&entry.image, entry.image.reference.as_ref());
    let none = || "<none>".to_owned();
    let variants: Vec<String> = entry
        .variants
        .iter()
        .map(|(variant, size)| match variant.present {
            true => format!("{} {}", variant.platform, units::size(*size)),
            false => format!("({})", variant.platform),
        })
        .collect();
    let total: u64 = entry.variants.iter().map(|(_, size)| size).sum();
    let id = if args.no_trunc { image.id().to_string() } else { short_id(image.id()) };
    Row::new()
        .text("Repository", reference.map_or_else(none, Reference::familiar_name))
        .text("Tag", reference.and_then(Reference::tag).map_or_else(none, str::to_owned))
        .text("Digest", image.id().to_string())
        .text("ID", id)
        .text("Variants", variants.join(", "))
        .value(
            "Platforms",
            Value::List(
                entry.variants.iter().map(|(v, _)| Value::text(v.platform.to_string())).collect(),
            ),
        )
        .text("CreatedSince", units::ago(entry.created, now))
        .text("CreatedAt", entry.created.map(units::local_time).unwrap_or_default())
        .text("Size", units::size(total))
        .text("VirtualSize", units::size(total))
        .text("Containers", "N/A")
        .labels(&entry.config.config.labels)
}

/// The first 12 digits of an image's id.
pub fn short_id(digest: &Digest) -> String {
    digest.digest().chars().take(12).collect()
}
