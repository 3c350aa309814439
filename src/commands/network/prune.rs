//! Remove networks to which no container belongs.

use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::{self, terminal};
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only some: label=NAME[=VALUE], label!=NAME[=VALUE], until=TIME
    #[arg(long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    filter::check(&args.filter, &["label", "label!", "until"])?;
    let wanted = chosen(&args.filter)?;
    let mut unused = net::unused(root)?;
    unused.retain(&wanted);
    if unused.is_empty() {
        return Ok(0);
    }
    if !args.force {
        show(&unused);
        if !terminal::confirm("Remove them?")? {
            return Ok(0);
        }
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
pub fn show(networks: &[NetworkSpec]) {
    let names: Vec<_> = networks.iter().map(|n| format!("  {}", n.name)).collect();
    ui::note(format_args!("These networks will be removed:\n{}", names.join("\n")));
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
