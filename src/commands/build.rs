//! Build an image from a Dockerfile.

use super::{Context, Outcome};
use crate::args::build::{Asked, Options};
use crate::error::{FAILED, Failure};
use crate::ui::{self, progress};
use crate::wiring::agent::Agents;
use crate::wiring::step::Runner;
use crate::wiring::{build as wiring, compile, usages};
use knarr_core::fsx;
use knarr_core::store::{Image, Store};
use knarr_packager::build::{self, Built, Cancellation, Services};
use knarr_packager::dockerfile::lint::Warning;
use knarr_packager::registry::{self, Config, PushOptions};
use knarr_runtime::sys::interrupt::Interrupts;
use knarr_runtime::sys::signal::Signal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr build [OPTIONS] PATH | URL | -")]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let args = &args.options;
    let environment = |name: &str| std::env::var(name).ok();
    for file in args.iidfile.iter().chain(&args.metadata_file) {
        writable(file)?;
    }
    let Asked { mut options, push, input: _input } = args.asked(environment)?;
    let store = context.store()?;
    context.among_owners_for_start();
    let agents = Agents::start(args.agents(environment)?)?;
    options.ssh.clone_from(&agents.sockets);
    let runner = Runner::new(&context.root);
    let cancellation = Cancellation::default();
    let interrupted = Arc::new(AtomicI32::new(0));
    let interrupts = listen(&cancellation, &interrupted)?;
    let view = ui::build::choose(args.progress(environment)?, args.quiet);
    let services = Services {
        runner: &runner,
        progress: view.as_progress(),
        registry: &Config::load,
        cancellation,
    };
    if args.explain {
        let plan = build::explain(&store, &options, &services);
        view.finish(plan.is_err());
        let plan = plan.map_err(|error| wiring::failure(&error))?;
        ui::data(plan.to_string().as_bytes())?;
        return Ok(0);
    }
    if args.check {
        let warnings = build::check(&store, &options, &services);
        view.finish(warnings.is_err());
        return check(&warnings.map_err(|error| wiring::failure(&error))?);
    }
    let built = build::build(&store, &options, &services);
    view.finish(built.is_err());
    // from here on Ctrl-C ends this process at once; and a module is compiled by a process with one thread
    drop(interrupts);
    let built = built.map_err(|error| match interrupted.load(Ordering::Relaxed) {
        0 => wiring::failure(&error),
        signal => Failure::new("the build was stopped").status(128 + signal as u8),
    })?;
    report(&store, args, &built)?;
    if built.freed > 0 {
        store.collect(&usages(&context.root))?;
    }
    if push {
        self::push(&store, args, &built)?;
    }
    Ok(0)
}

fn listen(
    cancellation: &Cancellation,
    interrupted: &Arc<AtomicI32>,
) -> Result<Interrupts, Failure> {
    let (cancellation, interrupted) = (cancellation.clone(), interrupted.clone());
    let act = move |signal: Signal| {
        interrupted.store(signal.number(), Ordering::Relaxed);
        cancellation.cancel();
    };
    Interrupts::listen(act)
        .map_err(|error| Failure::new("cannot listen for interrupts").cause(&error))
}

/// As Docker's: the warnings are what was asked for, and one makes the command fail.
fn check(warnings: &[Warning]) -> Outcome {
    for warning in warnings {
        ui::line(format_args!("WARNING: {warning}\n{}\n", warning.rule.url()))?;
    }
    match warnings.len() {
        0 => ui::line("Check complete, no warnings found.")?,
        1 => ui::line("Check complete, 1 warning has been found!")?,
        many => ui::line(format_args!("Check complete, {many} warnings have been found!"))?,
    }
    Ok(u8::from(!warnings.is_empty()))
}

/// Everything that a build says when it has succeeded.
fn report(store: &Store, args: &Options, built: &Built) -> Result<(), Failure> {
    for variant in &built.variants {
        if let Some(module) = &variant.module {
            compile::warn_of_missing("the module", &module.imports);
        }
    }
    if let Some(descriptor) = &built.image {
        let reference = built.tags.first().cloned();
        let image = Image { reference, descriptor: descriptor.clone() };
        compile::image(store, &image, args.quiet);
    }
    let id = wiring::id(built);
    if let (Some(path), Some(id)) = (&args.iidfile, &id) {
        fsx::replace(path, id.as_bytes(), fsx::Durability::Process)?;
    }
    if let Some(path) = &args.metadata_file {
        let text = format!("{:#}\n", wiring::metadata(built));
        fsx::replace(path, text.as_bytes(), fsx::Durability::Process)?;
    }
    if let (true, Some(id)) = (args.quiet, id) {
        ui::line(id)?;
    }
    Ok(())
}

fn push(store: &Store, args: &Options, built: &Built) -> Result<(), Failure> {
    let config = Config::load()?;
    let progress = progress::choose(args.quiet);
    for reference in &built.tags {
        progress.status(&format!("pushing {}", reference.familiar()));
        registry::push(store, reference, &PushOptions::default(), &config, &*progress)?;
    }
    Ok(())
}

/// Whether a file can be made where one is asked for, before work is spent on its content.
fn writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || Failure::usage(format!("cannot write {}", path.display())).status(FAILED);
    if path.is_dir() {
        return Err(cannot().hint("it is a folder: name a file"));
    }
    if !folder.is_dir() {
        return Err(cannot().hint("its folder does not exist"));
    }
    let probe = tempfile::Builder::new().prefix(".knarr-").tempfile_in(folder);
    probe.map(drop).map_err(|error| cannot().cause(&error))
}
