//! Remove containers that do not run, networks and images that nobody uses, the cache of builds, and with `--volumes`
//! anonymous volumes.

use crate::commands::builder::prune as builds;
use crate::commands::container::prune as containers;
use crate::commands::image::prune as images;
use crate::commands::network::prune as networks;
use crate::commands::volume::prune as volumes;
use crate::commands::{Context, Outcome};
use crate::ui::{self, terminal, units};
use knarr_runtime::container::list::Filters;
use knarr_runtime::container::prune;
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Anonymous volumes as well
    #[arg(long)]
    volumes: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let _inside = crate::commands::network::inside(context)?;
    let store = context.store()?;
    context.among_owners();
    let root = &context.root;
    let stopped = prune::candidates(&store, &Filters::default())?;
    if !args.force {
        if !stopped.is_empty() {
            containers::show(&stopped);
        }
        let unused = net::unused(root)?;
        if !unused.is_empty() {
            networks::show(&unused);
        }
        images::show(&images::candidates(&store, root, args.all)?);
        let cached = builds::all_candidates(&store, args.all)?;
        if !cached.is_empty() {
            builds::show(&cached);
        }
        if args.volumes {
            let unused = volumes::unused(root, false)?;
            if !unused.is_empty() {
                volumes::show(root, &unused);
            }
        }
        // which ones these are shows when the containers are gone
        ui::note("And the same of what only these containers use.");
        if !terminal::confirm("Remove them?")? {
            return Ok(0);
        }
    }
    let mut reclaimed = containers::remove(&store, stopped)?;
    if args.volumes {
        let unused = volumes::unused(root, false)?;
        if !unused.is_empty() {
            reclaimed += volumes::remove(root, &unused)?;
        }
    }
    networks::remove(root, &|_| true)?;
    // before the images: their collection takes the layers that only the cache needed
    builds::remove_all(&store, builds::all_candidates(&store, args.all)?, args.all)?;
    let candidates = images::candidates(&store, root, args.all)?;
    reclaimed += images::remove(&store, root, &candidates)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}
