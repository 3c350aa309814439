//! List images and their variants.
//!
//! SIZE is the room that an image takes here: its blobs, and its layers unpacked. What images share counts for each.

use super::{Context, Outcome};
use crate::args::filter::{self, Filter};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::template::Value;
use crate::ui::{self, units};
use jiff::Timestamp;
use knarr_core::image::{Digest, ImageConfig, Reference, Variant};
use knarr_core::store::{Footprint, Image, Store};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIZE is the room that an image takes here: its blobs, and its layers unpacked. What images share \
    counts for each; 'knarr system df' counts it once."
)]
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
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show only images with this name, which may have *, ? and […]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    repository: Option<String>,
}

const HEADINGS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Variants", "VARIANTS"),
    ("VariantsShort", "VARIANTS"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
];
const TABLE: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.VariantsShort}}\t{{.CreatedSince}}\t{{.Size}}";
const TABLE_WITH_DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Variants}}\t{{.CreatedSince}}\t{{.Size}}";

/// Columns of a terminal that a table is made for, without names that take more.
const WIDTH: usize = 120;

/// One image with what a listing says of it.
struct Entry {
    image: Image,
    /// With the room that each takes.
    variants: Vec<(Variant, u64)>,
    /// All of them, and what they share once.
    size: u64,
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
            // it was removed meanwhile
            Err(_) if store.find(&name).is_err() => {}
            // one damaged image must not hide the others
            Err(failure) => ui::warning(format_args!("{name}: {}", failure.messages.join(": "))),
        }
    }
    select(args, &store, &mut entries)?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
    let now = Timestamp::now();
    let room = room_for_variants(&entries);
    let rows: Vec<Row> = entries.iter().map(|entry| row(args, entry, room, now)).collect();
    let table = if args.digests { TABLE_WITH_DIGESTS } else { TABLE };
    let listing = Listing { headings: HEADINGS, table, quiet: "{{.ID}}" };
    ui::data(listing.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}

fn describe(store: &Store, image: Image) -> Result<Entry, Failure> {
    let mut variants = Vec::new();
    let (mut config, mut whole) = (None, Footprint::default());
    for variant in store.variants(&image)? {
        let mut own = Footprint::default();
        if variant.present {
            own.add(store, &image, |manifest| *manifest == variant.manifest)?;
            let read = store.config(&store.manifest(&variant.manifest)?)?;
            config.get_or_insert(read);
        }
        variants.push((variant, own.bytes()));
    }
    whole.add(store, &image, |_| true)?;
    let config = config.unwrap_or_default();
    let created = created(store, &image, &config);
    Ok(Entry { image, variants, size: whole.bytes(), config, created })
}

/// When an image was made. A reproducible one does not say so: then when it came here.
pub fn created(store: &Store, image: &Image, config: &ImageConfig) -> Option<Timestamp> {
    let stated = config.created.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    stated
        .filter(|time| time.as_second() > 0)
        .or_else(|| Timestamp::from_second(store.arrived(image)?).ok())
}

fn select(args: &Args, store: &Store, entries: &mut Vec<Entry>) -> Result<(), Failure> {
    if let Some(pattern) = &args.repository {
        filter::check_glob(pattern)?;
        entries.retain(|e| matches_reference(e.image.reference.as_ref(), pattern));
    }
    let value = |key: &str| filter::values(&args.filter, key);
    let references = value("reference");
    references.iter().try_for_each(|pattern| filter::check_glob(pattern))?;
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

/// Columns that the longest names leave.
fn room_for_variants(entries: &[Entry]) -> usize {
    const OTHERS: usize = "IMAGE ID       CREATED         1.23GB   ".len() + 8;
    let longest = |of: &dyn Fn(&Reference) -> usize| {
        entries.iter().filter_map(|e| e.image.reference.as_ref()).map(of).max().unwrap_or(0).max(10)
    };
    let names = longest(&|r| r.familiar_name().chars().count())
        + longest(&|r| r.tag().map_or(6, str::len))
        + 6;
    WIDTH.saturating_sub(OTHERS + names).max(24)
}

/// As much of an image's variants as there is room for, those that are here first.
fn shortened(variants: &[(Variant, u64)], room: usize) -> String {
    let full = described(variants);
    if full.chars().count() <= room {
        return full;
    }
    let present = variants.iter().filter(|(v, _)| v.present).map(|(v, _)| v.platform.to_string());
    let absent =
        variants.iter().filter(|(v, _)| !v.present).map(|(v, _)| format!("({})", v.platform));
    let names: Vec<String> = present.chain(absent).collect();
    let mut shown = names.len();
    loop {
        let mut text = names[..shown].join(", ");
        if shown < names.len() {
            text += &format!(", {} more", names.len() - shown);
        }
        if shown <= 1 || text.chars().count() <= room {
            return text;
        }
        shown -= 1;
    }
}

fn described(variants: &[(Variant, u64)]) -> String {
    let describe = |(variant, size): &(Variant, u64)| match variant.present {
        true => format!("{} {}", variant.platform, units::size(*size)),
        false => format!("({})", variant.platform),
    };
    variants.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn row(args: &Args, entry: &Entry, room: usize, now: Timestamp) -> Row {
    let (image, reference) = (&entry.image, entry.image.reference.as_ref());
    let none = || "<none>".to_owned();
    let id = if args.no_trunc { image.id().to_string() } else { short_id(image.id()) };
    Row::new()
        .text("Repository", reference.map_or_else(none, Reference::familiar_name))
        .text("Tag", reference.and_then(shown_tag).map_or_else(none, str::to_owned))
        .text("Digest", image.id().to_string())
        .text("ID", id)
        .text("Variants", described(&entry.variants))
        .text(
            "VariantsShort",
            match args.no_trunc {
                true => described(&entry.variants),
                false => shortened(&entry.variants, room),
            },
        )
        .value(
            "Platforms",
            Value::List(
                entry.variants.iter().map(|(v, _)| Value::text(v.platform.to_string())).collect(),
            ),
        )
        .text("CreatedSince", units::ago(entry.created, now))
        .text("CreatedAt", entry.created.map(units::local_time).unwrap_or_default())
        .text("Size", units::size(entry.size))
        .text("VirtualSize", units::size(entry.size))
        .text("SharedSize", "N/A")
        .text("UniqueSize", "N/A")
        .text("Containers", "N/A")
        .labels(&entry.config.config.labels)
}

/// The tag by which an image can be found: with a digest behind it a tag says nothing (as Docker has it).
pub fn shown_tag(reference: &Reference) -> Option<&str> {
    reference.tag().filter(|_| reference.digest().is_none())
}

/// The first 12 digits of an image's id.
pub fn short_id(digest: &Digest) -> String {
    digest.digest().chars().take(12).collect()
}
