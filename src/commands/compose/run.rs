//! Run a command in a new container of a service.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, attach};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compose::create::New;
use crate::wiring::compose::images::Prepare;
use knarr_compose::model::{self, Command, Service};
use knarr_compose::plan::{self, Up};
use knarr_core::id::ContainerId;
use knarr_packager::registry::PullPolicy;
use knarr_runtime::container;
use knarr_runtime::monitor::Attach;
use std::io::IsTerminal;

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr compose run [OPTIONS] SERVICE [COMMAND] [ARG]...")]
pub struct Args {
    /// Build the image first
    #[arg(long)]
    build: bool,
    /// Add Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Run in the background and print the container's name
    #[arg(short, long)]
    detach: bool,
    /// Replace the service's entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set an environment variable; without a value it is taken from knarr's own environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_from_file: Vec<std::path::PathBuf>,
    /// Pass standard input on, as is done in any case
    #[arg(short, long)]
    interactive: bool,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Do not start the services that it needs
    #[arg(long)]
    no_deps: bool,
    /// Without a terminal
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    no_tty: bool,
    /// Publish a port
    #[arg(short, long, value_name = "PORTS")]
    publish: Vec<String>,
    /// Pull the image first: always, missing or never
    #[arg(long, value_name = "WHEN")]
    pull: Option<PullPolicy>,
    /// Show nothing of what is done before
    #[arg(short, long)]
    quiet: bool,
    /// Show nothing while building
    #[arg(long)]
    quiet_build: bool,
    /// Show nothing while pulling
    #[arg(long)]
    quiet_pull: bool,
    /// Remove containers of services that the project no longer has
    #[arg(long)]
    remove_orphans: bool,
    /// Remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Give it the service's names on its networks
    #[arg(long)]
    use_aliases: bool,
    /// User name or id, and group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Mount a directory or a volume: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// The service, then the command; whatever follows the service belongs to the command
    #[arg(value_name = "SERVICE [COMMAND]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let Some((name, command)) = args.words.split_first() else {
        return Err(Failure::usage("the service is missing"));
    };
    let mut session = Session::open(global, context, std::slice::from_ref(name))?;
    session.select(std::slice::from_ref(name), args.no_deps)?;
    let mut machine = session.machine(Default::default(), None);
    machine.prepare(Prepare {
        build: args.build,
        no_build: false,
        quiet_pull: args.quiet || args.quiet_pull,
        quiet_build: args.quiet || args.quiet_build,
        pull: args.pull,
    })?;
    // what it needs runs first
    let mut others = session.wanted(&machine.images);
    others.services.retain(|service| service.name != *name);
    let options = Up { start: true, remove_orphans: args.remove_orphans, ..Up::default() };
    let mut plan = plan::up(&others, &session.observe()?, &options)?;
    plan.warnings.retain(|_| !args.quiet);
    session.carry_out(&plan, &machine)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let tty = terminal && !args.no_tty && !args.detach;
    let service = altered(session.project.service(name)?, args, command, tty)?;
    let slug = ContainerId::random().to_string();
    let separator = global.separator();
    let made_up = || {
        let parts = [session.project.name.as_str(), name, "run", &slug[..12]];
        parts.join(&separator.to_string())
    };
    let container = args.name.clone().unwrap_or_else(made_up);
    let mut more = super::Words::default();
    more.options("volume", &args.volume);
    more.options("env-file", args.env_from_file.iter().map(|path| path.display()));
    let id = machine.create(New {
        service: &service,
        name: &container,
        number: 1,
        replaces: None,
        keeps_volumes: false,
        one_off: true,
        named: args.use_aliases,
        more: &more.rest([]),
    })?;
    let store = context.store()?;
    if args.detach {
        container::start(&store, &id)?;
        ui::line(container)?;
        return Ok(0);
    }
    let attach = Attach { stdin: true, detach_keys: attach::keys(None)?, forward_signals: true };
    let result = container::run::start_attached(&store, &id, &attach);
    if args.rm {
        let everything = container::remove::Remove { force: true, volumes: true };
        container::remove(&store, &id, everything)?;
    }
    match result {
        Ok(end) => Ok(attach::status(&end)),
        Err(error) => {
            let status = error.exit_code();
            Err(Failure::from(error).status(status))
        }
    }
}

/// The service as the command line wants it.
fn altered(
    service: &Service,
    args: &Args,
    command: &[String],
    tty: bool,
) -> Result<Service, Failure> {
    let mut service = service.clone();
    if let Some(entrypoint) = &args.entrypoint {
        let words = shell_words::split(entrypoint).map_err(|_| {
            Failure::usage(format!("{entrypoint:?} is not a command: a quote is not closed"))
        })?;
        service.entrypoint = Command(Some(words));
        service.command = Command(None);
    }
    if !command.is_empty() {
        service.command = Command(Some(command.to_vec()));
    }
    for text in &args.env {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), std::env::var(text).ok()),
        };
        service.environment.0.insert(name.to_owned(), value);
    }
    for text in &args.label {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        service.labels.0.insert(name.to_owned(), value.to_owned());
    }
    service.cap_add.extend(args.cap_add.iter().cloned());
    service.cap_drop.extend(args.cap_drop.iter().cloned());
    if let Some(user) = &args.user {
        service.user.clone_from(user);
    }
    if let Some(directory) = &args.workdir {
        service.working_dir.clone_from(directory);
    }
    if !args.service_ports {
        service.ports.clear();
    }
    for text in &args.publish {
        for port in knarr_core::spec::port::parse(text)? {
            service.ports.push(model::Port {
                host_ip: port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                target: port.container_port.into(),
                published: port.host_port.map(|port| port.to_string()).unwrap_or_default(),
                protocol: port.protocol.to_string(),
                ..Default::default()
            });
        }
    }
    service.tty = tty;
    service.stdin_open = !args.detach;
    // it has a name of its own, and is not started again
    service.container_name.clear();
    service.restart.clear();
    if let Some(deploy) = &mut service.deploy {
        deploy.restart_policy = None;
    }
    Ok(service)
}
