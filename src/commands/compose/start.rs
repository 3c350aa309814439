//! Start containers that are there.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use knarr_compose::plan;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait until all services run, and are healthy
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
    let until = args.wait_timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let plan = plan::start(&wanted, &observed, &args.services, args.wait)?;
    session.carry_out(&plan, &session.machine(Default::default(), until))?;
    Ok(0)
}
