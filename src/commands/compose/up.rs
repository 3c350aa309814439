//! Make and start a project's containers.

use super::follow::{Following, follow};
use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::wiring::compose::images::Prepare;
use knarr_compose::plan::{self, Recreate, Up};
use knarr_packager::registry::PullPolicy;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop all containers when one exits
    #[arg(long, conflicts_with = "detach")]
    abort_on_container_exit: bool,
    /// Stop all containers when one exits with something other than 0
    #[arg(long, conflicts_with = "detach")]
    abort_on_container_failure: bool,
    /// Make containers anew that others need, even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    always_recreate_deps: bool,
    /// Show what these services print, and no others
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    attach: Vec<String>,
    /// Show what services print that the named ones need
    #[arg(long)]
    attach_dependencies: bool,
    /// Build images first
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Exit with the code of this service's container; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE")]
    exit_code_from: Option<String>,
    /// Make containers anew even if nothing changed
    #[arg(long)]
    force_recreate: bool,
    /// Listen to keys on a terminal, d and w, and show which: true, as without the option, or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::args::usage::parse_switch)]
    menu: Option<bool>,
    /// Do not show what these services print
    #[arg(long, value_name = "SERVICE")]
    no_attach: Vec<String>,
    /// Do not build an image, even if it is missing
    #[arg(long)]
    no_build: bool,
    /// Without colours
    #[arg(long)]
    no_color: bool,
    /// Without the services that the named ones need
    #[arg(long)]
    no_deps: bool,
    /// Without names before the lines
    #[arg(long)]
    no_log_prefix: bool,
    /// Leave containers that are there as they are
    #[arg(long, conflicts_with = "force_recreate")]
    no_recreate: bool,
    /// Make the containers without starting them
    #[arg(long)]
    no_start: bool,
    /// Pull images first: always, missing or never
    #[arg(long, value_name = "WHEN")]
    pull: Option<PullPolicy>,
    /// Show nothing while building
    #[arg(long)]
    quiet_build: bool,
    /// Show nothing while pulling
    #[arg(long)]
    quiet_pull: bool,
    /// Remove containers of services that the project no longer has
    #[arg(long)]
    remove_orphans: bool,
    /// New anonymous volumes, instead of those of the containers before
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,
    /// How many containers of a service: SERVICE=NUMBER
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = super::scale::parse)]
    scale: Vec<(String, u32)>,
    /// Seconds to wait for containers that stop, before SIGKILL
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Print when each line was printed
    #[arg(long)]
    timestamps: bool,
    /// Wait until all services run, and are healthy; implies --detach
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Do what the develop sections say when files change
    #[arg(short, long, conflicts_with_all = ["detach", "wait", "no_start"])]
    watch: bool,
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
    session.select(&args.services, args.no_deps)?;
    if let Some(service) = &args.exit_code_from {
        session.project.service(service)?;
    }
    if let Some((port, first, second)) = session.project.port_clashes().into_iter().next() {
        let what = format!("{second}: the port {port} of this host is wanted at {first} as well");
        return Err(Failure::usage(what).hint("publish one of the two on another port"));
    }
    let until = args.wait_timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let images = if global.dry_run { Default::default() } else { prepare(args, &session)? };
    let wanted = session.wanted(&images);
    let machine = session.machine(images, until);
    let recreate = Recreate::asked(args.force_recreate, args.no_recreate);
    let options = Up {
        services: args.services.clone(),
        recreate,
        recreate_dependencies: Recreate::asked(args.always_recreate_deps, args.no_recreate),
        start: !args.no_start,
        wait: args.wait,
        renew_anonymous_volumes: args.renew_anon_volumes,
        remove_orphans: args.remove_orphans || super::asks("COMPOSE_REMOVE_ORPHANS"),
        timeout: args.timeout,
    };
    let plan = plan::up(&wanted, &session.observe()?, &options)?;
    session.carry_out(&plan, &machine)?;
    if args.detach || args.wait || args.no_start || global.dry_run {
        return Ok(0);
    }
    let attached = |name: &String| {
        let service = session.project.services.get(name);
        let by_file = service.is_none_or(|service| service.attach != Some(false));
        let asked = match args.attach.is_empty() {
            true => {
                args.attach_dependencies || args.services.is_empty() || args.services.contains(name)
            }
            false => args.attach.contains(name),
        };
        asked && by_file && !args.no_attach.contains(name)
    };
    let shown = session.project.services.keys().filter(|name| attached(name)).cloned().collect();
    follow(
        &session,
        &Following {
            services: args.services.clone(),
            shown,
            abort_on_exit: args.abort_on_container_exit || args.exit_code_from.is_some(),
            abort_on_failure: args.abort_on_container_failure,
            exit_code_from: args.exit_code_from.clone(),
            timeout: args.timeout,
            colour: !args.no_color && global.colour(),
            prefix: !args.no_log_prefix,
            timestamps: args.timestamps,
            menu: args.menu.or_else(|| super::switch("COMPOSE_MENU")).unwrap_or(true),
            watch: args.watch,
        },
    )
}

fn prepare(
    args: &Args,
    session: &Session<'_>,
) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let mut machine = session.machine(Default::default(), None);
    machine.prepare(Prepare {
        build: args.build,
        no_build: args.no_build,
        quiet_pull: args.quiet_pull,
        quiet_build: args.quiet_build,
        pull: args.pull,
    })?;
    Ok(machine.images)
}
