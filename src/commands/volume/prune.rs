//! Remove volumes that no container uses: anonymous ones, or all.

use crate::args::consent::{Consent, listed};
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, units};
use crate::wiring::volume_size;
use knarr_core::root::Root;
use knarr_runtime::volume::{self, Users, Volume};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Named volumes as well
    #[arg(short, long)]
    all: bool,
    /// Only some: label=NAME[=VALUE], label!=NAME[=VALUE], all=true
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    filter::check(&args.filter, &["label", "label!", "all"])?;
    let mut all = args.all;
    for wanted in filter::values(&args.filter, "all") {
        all = filter::switch("all", wanted)?;
    }
    let mut unused = unused(root, all)?;
    unused.retain(|volume| filter::is_chosen(&args.filter, &volume.labels));
    if unused.is_empty() && !args.consent.dry_run {
        ui::line("Total reclaimed space: 0B")?;
        return Ok(0);
    }
    context.among_owners();
    if !args.consent.given(show(root, &unused).as_slice())? {
        return Ok(0);
    }
    let reclaimed = remove(root, &unused)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

/// Says what is about to go, with its size.
pub fn show(root: &Root, volumes: &[Volume]) -> Option<String> {
    let line = |v: &Volume| format!("{} ({})", v.name, units::size(volume_size(root, v)));
    listed("These volumes will be removed:", volumes.iter().map(line))
}

/// The volumes that no container uses.
pub fn unused(root: &Root, all: bool) -> Result<Vec<Volume>, Failure> {
    let mut volumes = volume::list(root)?;
    let users = Users::read(root)?;
    volumes.retain(|v| (all || v.anonymous) && !users.is_used(&v.name));
    Ok(volumes)
}

/// Removes volumes and prints their names; the bytes that were reclaimed.
pub fn remove(root: &Root, volumes: &[Volume]) -> Result<u64, Failure> {
    let mut reclaimed = 0;
    ui::line("Deleted Volumes:")?;
    for volume in volumes {
        let size = volume_size(root, volume);
        match volume::remove(root, &volume.name, None) {
            // somebody else was faster, or uses it since
            Err(volume::Error::NotFound { .. } | volume::Error::InUse { .. }) => {}
            result => {
                result?;
                reclaimed += size;
                ui::line(&volume.name)?;
            }
        }
    }
    Ok(reclaimed)
}
