//! Send a signal to containers.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use knarr_compose::plan;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove containers of services that the project no longer has
    #[arg(long)]
    remove_orphans: bool,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    signal: String,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
    let plan = plan::kill(&wanted, &observed, &args.services, Some(&args.signal))?;
    session.carry_out(&plan, &session.machine(Default::default(), None))?;
    Ok(0)
}
