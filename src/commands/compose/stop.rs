//! Stop containers without removing them.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use knarr_compose::plan;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds to wait before SIGKILL
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
    let plan = plan::stop(&wanted, &observed, &args.services, args.timeout)?;
    session.carry_out(&plan, &session.machine(Default::default(), None))?;
    Ok(0)
}
