//! Build the images of services.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compose::build::{self, Build};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Set a build-time variable; without a value it is taken from knarr's own environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Accepted for Docker's sake: there is one builder
    #[arg(long, value_name = "BUILDER")]
    builder: Option<String>,
    /// Check the Dockerfiles and build nothing
    #[arg(long)]
    check: bool,
    /// Memory limit of each RUN
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Use no result of an earlier build
    #[arg(long)]
    no_cache: bool,
    /// Ask registries for newer base images
    #[arg(long)]
    pull: bool,
    /// Push the images
    #[arg(long)]
    push: bool,
    /// Show nothing
    #[arg(short, long)]
    quiet: bool,
    /// An agent for RUN --mount=type=ssh: default or NAME=SOCKET|KEY
    #[arg(long, value_name = "AGENT")]
    ssh: Vec<String>,
    /// Also the images of services that the named ones need
    #[arg(long)]
    with_dependencies: bool,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let mut session = Session::open(global, context, &args.services)?;
    for name in &args.services {
        session.project.service(name)?;
    }
    if args.with_dependencies {
        session.select(&args.services, false)?;
    }
    let chosen = |name: &String| {
        args.with_dependencies || args.services.is_empty() || args.services.contains(name)
    };
    let services =
        session.project.services.values().filter(|s| s.build.is_some() && chosen(&s.name));
    let names: Vec<String> = services.map(|service| service.name.clone()).collect();
    if names.is_empty() {
        ui::warning("no service is built from a Dockerfile");
        return Ok(0);
    }
    if global.dry_run {
        names.iter().try_for_each(|name| ui::line(format_args!("build {name}")))?;
        return Ok(0);
    }
    let options = Build {
        quiet: args.quiet,
        no_cache: args.no_cache,
        pull: args.pull,
        push: args.push,
        args: args.build_arg.clone(),
        progress: global.build_progress(),
        memory: args.memory.clone(),
        ssh: args.ssh.clone(),
        check: args.check,
    };
    build::all(&session.machine(Default::default(), None), &names, &options)?;
    Ok::<_, Failure>(0)
}
