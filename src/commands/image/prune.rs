//! Remove images that no container uses: those without a name, or all.

use crate::args::consent::{Consent, listed};
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, units};
use crate::wiring::usages;
use knarr_core::image::Variant;
use knarr_core::root::Root;
use knarr_core::store::{Image, Removed, Store};
use std::collections::HashSet;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images with a name as well
    #[arg(short, long)]
    all: bool,
    /// Only some: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE], dangling=false for --all
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    filter::check(&args.filter, &["dangling", "label", "label!", "until"])?;
    let mut all = args.all;
    for dangling in filter::values(&args.filter, "dangling") {
        all = !filter::switch("dangling", dangling)?;
    }
    let candidates = candidates(&store, &context.root, all, &args.filter)?;
    if !args.consent.given(show(&candidates).as_slice())? {
        return Ok(0);
    }
    let reclaimed = remove(&store, &context.root, &candidates)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

/// The images that no container uses and that the filters choose.
pub fn candidates(
    store: &Store,
    root: &Root,
    all: bool,
    filters: &[Filter],
) -> Result<Vec<Image>, Failure> {
    let early = filter::until(filters)?;
    let is_chosen = |variants: &[Variant]| {
        let Some(config) = variants.iter().filter(|v| v.present).find_map(|variant| {
            store.manifest(&variant.manifest).and_then(|manifest| store.config(&manifest)).ok()
        }) else {
            return filters.is_empty();
        };
        let made = config.created.as_deref().and_then(|time| time.parse().ok());
        filter::is_chosen(filters, &config.config.labels) && early(made)
    };
    let used: HashSet<_> =
        knarr_runtime::container::usages(root)?.into_iter().map(|usage| usage.manifest).collect();
    let mut candidates = Vec::new();
    for image in store.images()? {
        let wanted = all || image.reference.is_none();
        // one that cannot be read is not in use
        let variants = store.variants(&image).unwrap_or_default();
        let is_used = variants.iter().any(|v| used.contains(&v.manifest));
        if wanted && !is_used && is_chosen(&variants) {
            candidates.push(image);
        }
    }
    Ok(candidates)
}

/// Says what is about to go.
pub fn show(candidates: &[Image]) -> Option<String> {
    listed("These images will be removed:", candidates.iter().map(Image::display_name))
}

/// Removes them and what nothing refers to any more; the bytes that were reclaimed.
pub fn remove(store: &Store, root: &Root, candidates: &[Image]) -> Result<u64, Failure> {
    let usages = usages(root);
    let mut removed = Vec::new();
    for image in candidates {
        let name = match &image.reference {
            Some(reference) => reference.to_string(),
            None => image.id().to_string(),
        };
        match store.remove(&name, false, &usages) {
            // somebody else was faster, or uses it since
            Err(
                knarr_core::store::Error::NotFound { .. } | knarr_core::store::Error::InUse { .. },
            ) => {}
            result => removed.extend(result?),
        }
    }
    removed.extend(store.prune(&usages)?);
    // what was compiled for layers that are gone now
    let mut reclaimed = knarr_runtime::engine::wasm::prune(root)?;
    let mut named = Vec::new();
    for one in removed {
        reclaimed += one.bytes();
        match one {
            Removed::Untagged(reference) => {
                named.push(format!("untagged: {}", reference.familiar()))
            }
            Removed::Image(id) => named.push(format!("deleted: {id}")),
            Removed::Blob { .. } | Removed::Layer { .. } | Removed::Leftover { .. } => {}
        }
    }
    if !named.is_empty() {
        ui::line("Deleted Images:")?;
        for line in named {
            ui::line(line)?;
        }
        ui::line("")?;
    }
    Ok(reclaimed)
}
