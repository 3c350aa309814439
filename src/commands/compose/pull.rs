//! Download the images of services.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::ui;
use knarr_packager::registry::PullPolicy;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on after an image that cannot be pulled
    #[arg(long)]
    ignore_pull_failures: bool,
    /// Leave out images that are built
    #[arg(long)]
    ignore_buildable: bool,
    /// Also the images of services that the named ones need
    #[arg(long)]
    include_deps: bool,
    /// Pull: always or missing
    #[arg(long, value_name = "WHEN")]
    policy: Option<PullPolicy>,
    /// Show nothing
    #[arg(short, long)]
    quiet: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let mut session = Session::open(global, context, &args.services)?;
    session.select(&args.services, !args.include_deps)?;
    let (machine, store) = (session.machine(Default::default(), None), context.store()?);
    let policy = args.policy.unwrap_or(PullPolicy::Always);
    let mut status = 0;
    for service in session.project.services.values() {
        // what is only built is nowhere to be had
        let only_built =
            service.build.is_some() && (service.image.is_empty() || args.ignore_buildable);
        if only_built || service.provider.is_some() {
            continue;
        }
        if global.dry_run {
            ui::line(format_args!("pull {}", machine.image(service)))?;
            continue;
        }
        match machine.ensure(&store, service, policy, args.quiet) {
            Ok(_) => {}
            Err(failure) if args.ignore_pull_failures || service.build.is_some() => {
                ui::warning(failure.messages.join(": "));
            }
            Err(failure) => {
                ui::failure(&failure);
                status = 1;
            }
        }
    }
    Ok(status)
}
