//! Let paused containers go on.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use knarr_compose::plan;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
    let plan = plan::unpause(&wanted, &observed, &args.services)?;
    session.carry_out(&plan, &session.machine(Default::default(), None))?;
    Ok(0)
}
