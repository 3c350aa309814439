//! Remove volumes that no container uses: anonymous ones, or all.

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, terminal, units};
use knarr_core::root::Root;
use knarr_runtime::volume::{self, Volume};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Named volumes as well
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    let unused = unused(root, args.all)?;
    if unused.is_empty() {
        ui::line("Total reclaimed space: 0B")?;
        return Ok(0);
    }
    if !args.force {
        let names: Vec<_> = unused.iter().map(|v| format!("  {}", v.name)).collect();
        ui::note(format_args!("These volumes will be removed:\n{}", names.join("\n")));
        if !terminal::confirm("Remove them?")? {
            return Ok(0);
        }
    }
    let reclaimed = remove(root, &unused)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}

/// The volumes that no container uses.
pub fn unused(root: &Root, all: bool) -> Result<Vec<Volume>, Failure> {
    let mut volumes = volume::list(root)?;
    volumes.retain(|v| (all || v.anonymous) && super::users(root, &v.name).is_empty());
    Ok(volumes)
}

/// Removes volumes and prints their names; the bytes that were reclaimed.
pub fn remove(root: &Root, volumes: &[Volume]) -> Result<u64, Failure> {
    let mut reclaimed = 0;
    ui::line("Deleted Volumes:")?;
    for volume in volumes {
        let size = crate::wiring::size_of(&volume::data(root, &volume.name)?);
        match volume::remove(root, &volume.name, || super::users(root, &volume.name)) {
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
