//! Stop and remove a project's containers, networks, and if asked its volumes and images.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use clap::ValueEnum;
use knarr_compose::plan::{self, Down};
use std::collections::BTreeSet;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove containers of services that the project no longer has
    #[arg(long)]
    remove_orphans: bool,
    /// Remove images: all, or local (those without a name of their own)
    #[arg(long, value_name = "WHICH", hide_possible_values = true)]
    rmi: Option<Images>,
    /// Seconds to wait for containers that stop, before SIGKILL
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Remove the volumes that the project declares, and anonymous ones, with their data
    #[arg(short, long)]
    volumes: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Images {
    All,
    Local,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, has_files) = Session::open_or_named(global, context, &args.services)?;
    for name in &args.services {
        session.project.service(name)?;
    }
    let machine = session.machine(Default::default(), None);
    let images: BTreeSet<String> = session
        .project
        .services
        .values()
        .filter(|service| match args.rmi {
            Some(Images::All) => service.provider.is_none(),
            Some(Images::Local) => service.image.is_empty() && service.provider.is_none(),
            None => false,
        })
        .map(|service| machine.image(service))
        .collect();
    let options = Down {
        services: args.services.clone(),
        remove_orphans: args.remove_orphans || super::asks("COMPOSE_REMOVE_ORPHANS"),
        volumes: args.volumes,
        images: images.into_iter().collect(),
        timeout: args.timeout,
    };
    let wanted = session.wanted(&Default::default());
    let wanted = has_files.then_some(&wanted);
    let plan = plan::down(wanted, &session.observe()?, &options)?;
    if plan.steps.is_empty() {
        crate::ui::warning(format_args!(
            "there is nothing of the project {}",
            session.project.name
        ));
    }
    session.carry_out(&plan, &machine)?;
    Ok(0)
}
