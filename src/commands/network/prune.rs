//! Remove networks to which no container belongs.

use crate::args::consent::{Consent, listed};
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only some: label=NAME[=VALUE], label!=NAME[=VALUE], until=TIME
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    #[command(flatten)]
    consent: Consent,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    filter::check(&args.filter, &["label", "label!", "until"])?;
    let wanted = chosen(&args.filter)?;
    let mut unused = net::unused(root)?;
    unused.retain(&wanted);
    if !args.consent.given(show(&unused).as_slice())? {
        return Ok(0);
    }
    remove(root, &wanted)?;
    Ok(0)
}

/// Which networks the filters of a prune choose.
pub fn chosen(filters: &[Filter]) -> Result<impl Fn(&NetworkSpec) -> bool, Failure> {
    let early = filter::until(filters)?;
    Ok(move |n: &NetworkSpec| filter::is_chosen(filters, &n.labels) && early(Some(n.created)))
}

/// Says what is about to go.
pub fn show(networks: &[NetworkSpec]) -> Option<String> {
    listed("These networks will be removed:", networks.iter().map(|n| n.name.clone()))
}

/// Removes networks and prints their names.
pub fn remove(root: &Root, wanted: &dyn Fn(&NetworkSpec) -> bool) -> Result<(), Failure> {
    let removed = net::prune(root, wanted)?;
    if !removed.is_empty() {
        ui::line("Deleted Networks:")?;
        for name in removed {
            ui::line(name)?;
        }
        ui::line("")?;
    }
    Ok(())
}
