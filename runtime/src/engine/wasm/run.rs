//! The guest's process, from the fork to the exit code.

use super::confine;
use super::error::Error;
use super::files::Tree;
use super::guest::{View, environment};
use super::host;
use super::host::names::{Circumstances, Names};
use super::host::sockets::Where;
use super::link;
use super::load::{Loaded, Program, load};
use super::locate::{Entrypoint, locate};
use super::message::{Ready, Sender};
use super::network::{self, Channels, Network};
use super::serve;
use super::start::report;
use super::stop::{self, Stop};
use crate::engine::{Launch, native};
use crate::net::Attached;
use crate::sys::process;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::Pid;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Engine, Module};

/// Runs in the forked child; returns the exit code.
pub(super) fn child(
    launch: &Launch<'_>,
    loaded: Option<Loaded>,
    stdio: [OwnedFd; 3],
    terminal: bool,
    pipe: OwnedFd,
    parent: Pid,
) -> i32 {
    let entered = network::enter(launch.network);
    let loading = loaded.as_ref().map(Loaded::descriptor);
    let kept = launch.descriptors().chain(loading);
    let descriptors = descriptors(stdio, terminal, pipe, launch.network, kept);
    let Ok((pipe, channels)) = descriptors else { return 125 };
    let mut pipe = Sender::new(pipe);
    let run = std::panic::AssertUnwindSafe(|| {
        let score = launch.spec.isolation.oom_score_adj;
        let scored = score.map_or(Ok(()), |_| native::set_oom_score(score));
        scored.map_err(|e| Error::system("set the OOM score", e))?;
        entered.and_then(|()| prepare(launch, loaded, parent, channels))
    });
    let result = match std::panic::catch_unwind(run) {
        Ok(result) => result,
        Err(_) => return 125, // the panic's message is on standard error, the parent says that we died
    };
    match result {
        Ok(prepared) => {
            let run = std::panic::AssertUnwindSafe(|| link::run(prepared, pipe));
            std::panic::catch_unwind(run).unwrap_or(125)
        }
        Err(error) => {
            let code = i32::from(error.exit_code());
            report(&mut pipe, error);
            code
        }
    }
}

/// Puts the streams at 0 to 2, the pipe at 3 and the channels to the monitor, if there are any, behind; closes everything
/// else that the monitor has open, but what is to be kept, whose numbers are [`crate::engine::bind::FREE`] or above.
fn descriptors(
    stdio: [OwnedFd; 3],
    terminal: bool,
    pipe: OwnedFd,
    network: &Attached,
    kept: impl Iterator<Item = RawFd>,
) -> Result<(OwnedFd, Channels), Errno> {
    stop::reset_signals();
    let _ = rustix::process::setsid();
    // out of the way first: the numbers wanted may be among those held
    let wanted = stdio.iter().chain([&pipe]).chain(&network.channel).chain(&network.news);
    let copies: Vec<OwnedFd> =
        wanted.map(|fd| fcntl_dupfd_cloexec(fd, 10)).collect::<Result<_, Errno>>()?;
    let count = copies.len() as RawFd;
    for (number, copy) in copies.iter().enumerate() {
        // SAFETY: both descriptors are open; what was at `number`, below `FREE`, is none of those that are kept and not
        // used by anyone in this process.
        if unsafe { libc::dup2(copy.as_raw_fd(), number as i32) } < 0 {
            return Err(Errno::BADF);
        }
    }
    std::mem::forget((stdio, pipe, copies));
    // all others belong to the parent's objects, which this process never touches again: the owners live in stack frames
    // that the child does not return to
    process::keep_only((0..count).chain(kept));
    if terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    // SAFETY: these descriptors are the copies made above and owned by nobody else.
    let mut owned = (3..).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let mut next = || owned.next().ok_or(Errno::BADF);
    let pipe = next()?;
    let questions = network.channel.as_ref().map(|_| next()).transpose()?;
    let news = network.news.as_ref().map(|_| next()).transpose()?;
    Ok((pipe, Channels { questions, news }))
}

/// Everything that a guest needs, in a confined process.
pub(super) struct Prepared {
    pub runtime: Runtime,
    pub engine: Engine,
    pub program: Program,
    pub view: View,
    pub entrypoint: Entrypoint,
    /// The module's path, for messages.
    pub path: String,
    pub stop: Stop,
    /// `--memory`
    pub memory: Option<u64>,
    /// For components that answer requests.
    pub server: Option<serve::Settings>,
    /// What to tell the parent when the guest is about to run.
    pub ready: Ready,
}

fn prepare(
    launch: &Launch<'_>,
    loaded: Option<Loaded>,
    parent: Pid,
    channels: Channels,
) -> Result<Prepared, Error> {
    let spec = launch.spec;
    let args = spec.process.args();
    let Some(word) = args.first() else { return Err(Error::NoCommand) };
    let entrypoint = Entrypoint::parse(word);
    let cwd = match spec.process.cwd.as_str() {
        "" => "/",
        cwd => cwd,
    };
    let tree = match launch.rootfs_is_layer {
        true => Tree::of_layer(launch.rootfs)?,
        false => Tree::assemble(launch.rootfs, launch.mounts, spec.read_only_rootfs)?,
    };
    let found = locate(&tree, &entrypoint.name, &spec.process.env, cwd)?;
    let (engine, program) = load(launch, loaded, &found)?;
    let stop = Stop::install(stop::number(spec.process.stop_signal.as_deref()))
        .map_err(|e| Error::system("handle signals", e))?;
    let serves = entrypoint.function.is_none()
        && matches!(&program, Program::Component(_, Ok(world)) if world.is_server());
    let is_component = matches!(program, Program::Component(..));
    let network = Network::prepare(launch, channels, is_component && !serves)?;
    let server = if serves { Some(settings(spec, &network)?) } else { None };
    if server.is_some() {
        Stop::tick(&engine).map_err(|e| Error::system("set a timer", e))?;
    }
    let reached = match (&server, &network.place.at) {
        (Some(server), _) => server.listeners.ports.clone(),
        (None, Where::Alone(published)) => published.reached(),
        (None, Where::Carried(carried)) => carried.published.reached(),
        (None, Where::Shared(_)) => Vec::new(),
    };
    let accepts = |module: &Module| module.imports().any(|i| i.name() == "sock_accept");
    let listeners = match &program {
        Program::Module(module, _) if accepts(module) => {
            serve::listen::Listeners::of_program(spec, &network.place)?
        }
        _ => serve::listen::Listeners::default(),
    };
    let everywhere = match &server {
        Some(server) => server.listeners.everywhere.clone(),
        None => listeners.everywhere.clone(),
    };
    let identity = confine::Identity::of(&tree, &spec.process.user)?;
    let mut env = environment(spec, &identity.home, cwd);
    if !listeners.sockets.is_empty() {
        let count = host::sockets::p1::count(&listeners.sockets);
        env.retain(|(name, _)| name != "LISTEN_FDS");
        env.push(("LISTEN_FDS".to_owned(), count.to_string()));
    }
    let reached = if listeners.ports.is_empty() { reached } else { listeners.ports };
    let names = names(spec, &tree, &engine, &program, &network)?;
    // its own pipe for signals is a kind of socket that the guest's process may not make
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::system("start the event loop", e))?;
    // A static program cannot look the system call up by its name: the crate then reads /dev/urandom, which the confined
    // process may not open. It keeps open what it opened once.
    getrandom::fill(&mut [0; 1]).map_err(|e| {
        Error::system("open the source of random numbers", io::Error::other(e.to_string()))
    })?;
    let confined = confine::guest(launch, &tree, &identity, parent)?;
    let preopens = tree.preopens(confined.changed_root);
    // a variable that names the root says nothing of what the guest means by it
    let values = env.iter().map(|(_, value)| value.as_str());
    let values = values.filter(|value| !value.trim_matches(['/', '.']).is_empty());
    let words = args.iter().skip(1).map(String::as_str).chain(values);
    let files = host::files::Tree::open(&preopens, cwd, words)
        .map_err(|e| Error::system("open the container's directories", e))?;
    let files = if found.is_go { files.without_cwd() } else { files };
    let view = View {
        tree: Arc::new(files),
        args,
        env,
        cwd: cwd.to_owned(),
        preopens,
        network: spec.network.clone(),
        names,
        place: network.place,
        listening: Arc::new(listeners.sockets),
        listeners_block: !found.is_go,
    };
    Ok(Prepared {
        runtime,
        engine,
        program,
        view,
        entrypoint,
        path: found.path,
        stop,
        memory: spec.limits.memory,
        ready: Ready { ports: reached, lacking: confined.lacking, everywhere },
        server,
    })
}

/// The tables of names, for guests that may ask.
fn names(
    spec: &ContainerSpec,
    tree: &Tree,
    engine: &Engine,
    program: &Program,
    network: &Network,
) -> Result<Arc<Names>, Error> {
    let asks = |import: &str| {
        [
            "wasi:sockets/ip-name-lookup",
            "wasi:http/outgoing-handler",
            "wasi:http/client",
            "wasi:http/handler",
        ]
        .iter()
        .any(|interface| import.starts_with(interface))
    };
    let wanted = match program {
        Program::Component(component, _) => {
            component.component_type().imports(engine).any(|(import, _)| asks(import))
        }
        Program::Module(..) => false,
    };
    if !wanted || spec.network == NetworkMode::None {
        return Ok(Arc::default());
    }
    let given = Circumstances {
        spec,
        place: &network.place,
        host: network.host,
        monitor: network.monitor.clone(),
        only: network.only.clone(),
    };
    Ok(Arc::new(Names::load(tree, given)?))
}

fn settings(spec: &ContainerSpec, network: &Network) -> Result<serve::Settings, Error> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let quota = spec.limits.nano_cpus.map(|n| n.div_ceil(1_000_000_000) as usize);
    let grace = Duration::from_secs(spec.process.stop_timeout.unwrap_or(10).into());
    Ok(serve::Settings {
        listeners: serve::listen::Listeners::of_server(spec, &network.place)?,
        requests: spec.wasm.instance_requests.unwrap_or_default(),
        // the monitor kills when the time is over: be done before
        grace: grace.mul_f32(0.9),
        processors: quota.map_or(processors, |quota| quota.clamp(1, processors)),
    })
}
