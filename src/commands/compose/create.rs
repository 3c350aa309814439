//! Make a project's containers without starting them.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::wiring::compose::images::Prepare;
use knarr_compose::plan::{self, Recreate, Up};
use knarr_packager::registry::PullPolicy;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Build images first
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Make containers anew even if nothing changed
    #[arg(long)]
    force_recreate: bool,
    /// Do not build an image, even if it is missing
    #[arg(long)]
    no_build: bool,
    /// Leave containers that are there as they are
    #[arg(long, conflicts_with = "force_recreate")]
    no_recreate: bool,
    /// Pull images first: always, missing or never
    #[arg(long, value_name = "WHEN")]
    pull: Option<PullPolicy>,
    /// Show nothing while pulling
    #[arg(long)]
    quiet_pull: bool,
    /// Remove containers of services that the project no longer has
    #[arg(long)]
    remove_orphans: bool,
    /// How many containers of a service: SERVICE=NUMBER
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = super::scale::parse)]
    scale: Vec<(String, u32)>,
    /// Accepted for Docker's sake: nothing is asked, and no data is removed
    #[arg(short, long)]
    yes: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let mut session = Session::open(global, context, &args.services)?;
    super::scale::apply(&mut session.project, &args.scale)?;
    session.select(&args.services, false)?;
    let mut machine = session.machine(Default::default(), None);
    machine.prepare(Prepare {
        build: args.build,
        no_build: args.no_build,
        quiet_pull: args.quiet_pull,
        pull: args.pull,
        ..Prepare::default()
    })?;
    let recreate = Recreate::asked(args.force_recreate, args.no_recreate);
    let options = Up {
        services: args.services.clone(),
        recreate,
        remove_orphans: args.remove_orphans,
        ..Up::default()
    };
    let plan = plan::up(&session.wanted(&machine.images), &session.observe()?, &options)?;
    session.carry_out(&plan, &machine)?;
    Ok(0)
}
