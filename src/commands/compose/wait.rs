//! Wait until a container of one of the services ends.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_compose::plan::{self, Down};
use knarr_runtime::container;
use std::sync::mpsc::channel;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the project down when the first of them ends
    #[arg(long)]
    down_project: bool,
    /// Services, by their names in the project
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, has_files) = Session::open_or_named(global, context, &args.services)?;
    let containers = session.chosen(&args.services, None)?;
    if containers.is_empty() {
        return Err(Failure::new(format!("no containers of {}", args.services.join(", ")))
            .hint("knarr compose up starts them"));
    }
    let store = context.store()?;
    let (tell, ended) = channel();
    let waiters = containers.clone();
    std::thread::spawn(move || {
        // each in a thread of its own, all of which end with this process
        for one in waiters {
            let (store, tell) = (store.clone(), tell.clone());
            std::thread::spawn(move || {
                let id = container::find(&store, &one.name);
                let code = id.and_then(|id| container::wait(&store, &id));
                let _ = tell.send((one.service().to_owned(), code));
            });
        }
    });
    let mut status = 0;
    let count = if args.down_project { 1 } else { containers.len() };
    for _ in 0..count {
        let Ok((service, code)) = ended.recv() else { break };
        status = code?;
        ui::line(format_args!("container {service:?} exited with status code {status}"))?;
    }
    if args.down_project {
        let wanted = session.wanted(&Default::default());
        let plan = plan::down(has_files.then_some(&wanted), &session.observe()?, &Down::default())?;
        session.carry_out(&plan, &session.machine(Default::default(), None))?;
    }
    Ok(status)
}
