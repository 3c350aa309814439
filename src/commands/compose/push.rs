//! Upload the images that services are built as.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, push};
use crate::ui;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on after an image that cannot be pushed
    #[arg(long)]
    ignore_push_failures: bool,
    /// Also the images of services that the named ones need
    #[arg(long)]
    include_deps: bool,
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
    let machine = session.machine(Default::default(), None);
    for service in session.project.services.values().filter(|service| service.build.is_some()) {
        if service.image.is_empty() {
            ui::warning(format_args!("the service {} names no image to push", service.name));
            continue;
        }
        let image = machine.image(service);
        if global.dry_run {
            ui::line(format_args!("push {image}"))?;
            continue;
        }
        let quiet = args.quiet.then(|| "--quiet".to_owned());
        let words: Vec<String> = quiet.into_iter().chain([image]).collect();
        match push::run(&super::parse(words)?, context) {
            Ok(_) => {}
            Err(failure) if args.ignore_push_failures => ui::warning(failure.messages.join(": ")),
            Err(failure) => return Err(failure),
        }
    }
    Ok(0)
}
