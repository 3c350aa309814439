//! Remove containers that do not run, networks and images that nobody uses, the cache of builds, and with `--volumes`
//! anonymous volumes.

use crate::args::consent::Consent;
use crate::args::filter::{self, Filter};
use crate::commands::builder::prune as builds;
use crate::commands::container::prune as containers;
use crate::commands::image::prune as images;
use crate::commands::network::prune as networks;
use crate::commands::volume::prune as volumes;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, units};
use knarr_packager::build::cache::prune::Entry;
use knarr_runtime::net;
use knarr_runtime::volume::Volume;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only some: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]; the cache of builds has no labels
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
    /// Anonymous volumes as well
    #[arg(long)]
    volumes: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let _inside = crate::commands::network::inside(context)?;
    let store = context.store()?;
    context.among_owners();
    let root = &context.root;
    filter::check(&args.filter, &["label", "label!", "until"])?;
    let stopped = containers::candidates(&store, &args.filter)?;
    let wanted = networks::chosen(&args.filter)?;
    let is_chosen = |volume: &Volume| filter::is_chosen(&args.filter, &volume.labels);
    // volumes have no time, and what steps resulted in no labels: Docker leaves these alone as well
    let with_time = args.filter.iter().any(|f| f.key == "until");
    let with_labels = args.filter.iter().any(|f| f.key != "until");
    let unused_volumes = || -> Result<Vec<Volume>, Failure> {
        let mut unused = volumes::unused(root, false)?;
        unused.retain(|volume| args.volumes && !with_time && is_chosen(volume));
        Ok(unused)
    };
    let cached = || -> Result<Vec<Entry>, Failure> {
        match with_labels {
            true => Ok(Vec::new()),
            false => builds::all_candidates(&store, args.all, &args.filter),
        }
    };
    let mut doomed = Vec::from_iter(containers::show(&stopped));
    let has_stopped = !doomed.is_empty();
    let mut unused = net::unused(root)?;
    unused.retain(&wanted);
    doomed.extend(networks::show(&unused));
    doomed.extend(images::show(&images::candidates(&store, root, args.all, &args.filter)?));
    doomed.extend(builds::show(&cached()?));
    doomed.extend(volumes::show(root, &unused_volumes()?));
    if has_stopped {
        // which ones these are shows when the containers are gone
        doomed.push("And the same of what only these containers use.".into());
    }
    if !args.consent.given(&doomed)? {
        return Ok(0);
    }
    let mut reclaimed = containers::remove(&store, stopped)?;
    let unused = unused_volumes()?;
    if !unused.is_empty() {
        reclaimed += volumes::remove(root, &unused)?;
    }
    networks::remove(root, &wanted)?;
    // before the images: their collection takes the layers that only the cache needed
    builds::remove_all(&store, cached()?, args.all && args.filter.is_empty())?;
    let candidates = images::candidates(&store, root, args.all, &args.filter)?;
    reclaimed += images::remove(&store, root, &candidates)?;
    ui::line(format_args!("Total reclaimed space: {}", units::size(reclaimed)))?;
    Ok(0)
}
