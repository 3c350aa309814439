//! Start stopped containers.

use super::{Context, Outcome, each};
use crate::error::Failure;
use crate::ui;
use crate::wiring::warn_of_shortcomings;
use knarr_core::store::Store;
use knarr_runtime::container::list::{Filters, ListOptions, list};
use knarr_runtime::container::{self, run};
use knarr_runtime::monitor::Attach;
use knarr_runtime::state::Status;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what the container prints, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass standard input on; implies --attach
    #[arg(short, long)]
    interactive: bool,
    /// Start all containers, or those that the filters choose
    #[arg(long, conflicts_with_all = ["containers", "attach", "interactive"])]
    all: bool,
    /// Choose among all, for example should-start-on-boot=true
    #[arg(short, long, value_name = "FILTER", requires = "all")]
    filter: Vec<String>,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required_unless_present = "all")]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    if args.attach || args.interactive {
        let [name] = args.containers.as_slice() else {
            return Err(Failure::usage("only one container can be attached to"));
        };
        let options = Attach {
            stdin: args.interactive,
            detach_keys: super::attach::keys(args.detach_keys.as_deref())?,
            forward_signals: true,
        };
        let id = container::find(&store, name)?;
        if args.interactive {
            super::attach::check_input(&store, &id)?;
        }
        warn_of_shortcomings(&context.root, &id);
        return Ok(super::attach::status(&run::start_attached(&store, &id, &options)?));
    }
    let names = match args.all {
        true => chosen(&store, &args.filter)?,
        false => args.containers.clone(),
    };
    each(&names, |name| {
        let id = container::find(&store, name)?;
        warn_of_shortcomings(&context.root, &id);
        container::start(&store, &id)?;
        Ok(Some(name.to_owned()))
    })
}

/// Those that do not run, the oldest first: a younger one may rely on it.
fn chosen(store: &Store, filters: &[String]) -> Result<Vec<String>, Failure> {
    let options = ListOptions { all: true, ..ListOptions::default() };
    let found = list(store, &Filters::parse(filters)?, &options)?;
    for damaged in &found.damaged {
        ui::warning(format_args!("the record of container {} is damaged", damaged.id.short()));
    }
    let rests = |status| matches!(status, Status::Created | Status::Exited);
    let resting = found.containers.into_iter().rev().filter(|c| rests(c.status));
    Ok(resting.map(|container| container.name).collect())
}
