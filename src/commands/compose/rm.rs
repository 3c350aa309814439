//! Remove stopped containers.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::ui::{self, terminal};
use knarr_compose::plan::{self, Action, Remove};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop them first, if they run
    #[arg(short, long)]
    stop: bool,
    /// Remove anonymous volumes as well
    #[arg(short, long)]
    volumes: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
    let options = Remove { stop: args.stop, volumes: args.volumes };
    let plan = plan::remove(&wanted, &observed, &args.services, options)?;
    let names = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Remove { container, .. } => Some(container.as_str()),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        ui::note("No stopped containers");
        return Ok(0);
    }
    if !args.force
        && !global.dry_run
        && !terminal::confirm(&format!("Going to remove {}\nAre you sure?", names.join(", ")))?
    {
        return Ok(1);
    }
    session.carry_out(&plan, &session.machine(Default::default(), None))?;
    Ok(0)
}
