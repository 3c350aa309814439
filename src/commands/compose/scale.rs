//! Change how many containers services have.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::wiring::compose::images::Prepare;
use knarr_compose::model::Project;
use knarr_compose::plan::{self, Recreate, Up};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Without the services that the named ones need
    #[arg(long)]
    no_deps: bool,
    /// How many containers of a service: SERVICE=NUMBER
    #[arg(value_name = "SERVICE=NUMBER", required = true, value_parser = parse)]
    scale: Vec<(String, u32)>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let services: Vec<String> = args.scale.iter().map(|(name, _)| name.clone()).collect();
    let mut session = Session::open(global, context, &services)?;
    apply(&mut session.project, &args.scale)?;
    session.select(&services, args.no_deps)?;
    let mut machine = session.machine(Default::default(), None);
    machine.prepare(Prepare::default())?;
    let options = Up { services, recreate: Recreate::Never, start: true, ..Up::default() };
    let plan = plan::up(&session.wanted(&machine.images), &session.observe()?, &options)?;
    session.carry_out(&plan, &machine)?;
    Ok(0)
}

/// `SERVICE=NUMBER`
pub fn parse(text: &str) -> Result<(String, u32), String> {
    let parsed = text.split_once('=').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    let (name, number) = parsed.ok_or("write SERVICE=NUMBER, for example web=3")?;
    Ok((name.to_owned(), number))
}

pub fn apply(project: &mut Project, scale: &[(String, u32)]) -> Result<(), Failure> {
    for (name, number) in scale {
        project.service(name)?;
        if let Some(service) = project.services.get_mut(name) {
            service.set_replicas((*number).into());
        }
    }
    Ok(())
}
