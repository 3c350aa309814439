//! Show how an image came to be.

use super::{Context, Outcome};
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::variant;
use jiff::Timestamp;
use knarr_core::image::Platform;
use knarr_core::store::chain_ids;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print sizes and dates for people (the default)
    #[arg(short = 'H', long, default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    human: bool,
    /// Print everything in full
    #[arg(long)]
    no_trunc: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Of the variant for this platform
    #[arg(long, value_name = "OS/ARCH", value_parser = crate::args::value::platform)]
    platform: Option<Platform>,
    /// The image, by its name or the beginning of its id
    #[arg(value_name = "IMAGE")]
    image: String,
}

const LISTING: Listing = Listing {
    headings: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
};
const TABLE_OF_DATES: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let image = store.find(&args.image)?;
    let shown = variant::shown(&store, &image, args.platform.as_ref())?;
    let manifest = store.manifest(&shown.manifest)?;
    let config = store.config(&manifest)?;
    let diff_ids: Vec<_> = config.rootfs.diff_ids.iter().filter_map(|d| d.parse().ok()).collect();
    let chains = chain_ids(&diff_ids);
    let mut layers = manifest.layers().iter().zip(chains.iter());
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for step in &config.history {
        // the unpacked size where it is known, as Docker shows it
        let size = match step.empty_layer {
            true => 0,
            false => match layers.next() {
                Some((blob, chain)) => {
                    store.layer_info(chain)?.map_or(blob.size(), |info| info.size)
                }
                None => 0,
            },
        };
        let created: Option<Timestamp> = step.created.as_deref().and_then(|t| t.parse().ok());
        let at = created.map(|t| t.to_string()).unwrap_or_default();
        let by = step.created_by.clone().unwrap_or_default().replace('\t', " ");
        rows.push(
            Row::new()
                .text("ID", "<missing>")
                .text(
                    "CreatedSince",
                    if args.human { units::ago(created, now) } else { at.clone() },
                )
                .text("CreatedAt", at)
                .text("CreatedBy", if args.no_trunc { by } else { units::ellipsis(&by, 45) })
                .text("Size", if args.human { units::size(size) } else { size.to_string() })
                .text("Comment", step.comment.clone().unwrap_or_default()),
        );
    }
    rows.reverse();
    // only the top has an id of its own: steps of an OCI image have none
    if let Some(top) = rows.first_mut() {
        let id = image.id().to_string();
        top.set("ID", if args.no_trunc { id } else { super::images::short_id(image.id()) });
    }
    let table = if args.human { LISTING.table } else { TABLE_OF_DATES };
    let listing = Listing { table, ..LISTING };
    ui::data(listing.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}
