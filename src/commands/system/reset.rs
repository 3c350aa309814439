//! Take everything away: containers, networks, volumes, images, the cache of builds, and the directories themselves.

use crate::commands::{Context, Outcome};
use crate::error::{FAILED, Failure};
use crate::ui::{self, terminal};
use knarr_runtime::reset::{self, Busy, Found};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    let Some(found) = reset::look(root)? else {
        ui::line(format_args!("There is nothing of Knarr's in {}", root.data().display()))?;
        return Ok(0);
    };
    if !args.force {
        show(&found, context);
        if !terminal::confirm("Remove all of this?")? {
            return Ok(0);
        }
    }
    let errors = reset::reset(root, &mut wait);
    if errors.is_empty() {
        ui::line(format_args!("Removed {}", paths(&found.places)))?;
        return Ok(0);
    }
    for error in errors {
        ui::failure(&Failure::from(error));
    }
    Ok(FAILED)
}

fn show(found: &Found, context: &Context) {
    // what cannot be read is removed as well
    let images = context.store().and_then(|store| Ok(store.images()?)).unwrap_or_default();
    let images: Vec<String> = images.iter().map(knarr_core::store::Image::display_name).collect();
    for (kind, names) in [
        ("containers, also those that run,", &found.containers),
        ("networks", &found.networks),
        ("volumes, with all that is in them,", &found.volumes),
        ("images", &images),
    ] {
        if !names.is_empty() {
            ui::note(format_args!("These {kind} will be removed:\n  {}", names.join("\n  ")));
        }
    }
    ui::note(format_args!(
        "And the cache of builds, and everything else in {}.",
        paths(&found.places)
    ));
}

fn wait(busy: &Busy) {
    let holders: Vec<String> = busy.holders.iter().map(ToString::to_string).collect();
    let who = match holders.as_slice() {
        [] => "somebody".to_owned(),
        holders => holders.join(", "),
    };
    ui::note(format_args!("waiting for {who}, who holds {}", busy.path.display()));
}

fn paths(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(" and ")
}
