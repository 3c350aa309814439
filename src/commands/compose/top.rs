//! Show the processes of a project's containers.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, top};
use crate::ui;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    for container in session.chosen(&args.services, None)?.iter().filter(|c| c.is_running()) {
        ui::line(&container.name)?;
        top::run(&super::parse([container.name.clone()])?, context)?;
        ui::line("")?;
    }
    Ok(0)
}
