//! A further process in a running container, and the streams of it: the same loop as a container's own, without a log
//! and without a socket for others.

use super::attach::{self, Attach, End};
use super::client::{Connection, Request, Response};
use super::further::Place;
use super::guest::Guarded;
use super::server::Client;
use super::session::{OneId, Session};
use super::sink::Sink;
use super::spawn::{DEFAULT_SIZE, Helper};
use super::streams::Ends;
use super::{Error, control, streams};
use crate::engine::Guest;
use crate::engine::native::{self, ExecProcess};
use crate::state::{self, Container, Exit};
use crate::sys::process::{self, Process};
use crate::sys::signal::SignalQueue;
use crate::sys::terminal;
use knarr_core::events;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What to execute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub args: Vec<String>,
    /// `NAME=value`, on top of the container's own.
    pub env: Vec<String>,
    /// `None`: the container's.
    pub workdir: Option<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    pub privileged: bool,
    pub tty: bool,
    pub interactive: bool,
}

impl Execution {
    /// Its streams are what a process of a specification has.
    fn streams(&self) -> knarr_core::spec::Process {
        knarr_core::spec::Process {
            tty: self.tty,
            open_stdin: self.interactive,
            ..Default::default()
        }
    }

    fn process(&self) -> ExecProcess {
        ExecProcess {
            args: self.args.clone(),
            env: self.env.clone(),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            privileged: self.privileged,
        }
    }
}

/// Who sees the streams.
enum Audience {
    Own,
    Client(OwnedFd),
    Nobody,
}

/// Executes as a child of this process, which must have a single thread and joins the container's namespaces, with this
/// process's own standard streams.
pub(crate) fn here(
    root: &Root,
    container: &Container,
    execution: &Execution,
) -> Result<Exit, Error> {
    process::close_noted();
    execute(root, container, execution, DEFAULT_SIZE, Audience::Own, &mut || {})
}

/// Executes as a child of a process in the background, and is its client: the terminal can be left.
pub(crate) fn apart(
    root: &Root,
    container: &Container,
    execution: &Execution,
    attach: &Attach,
) -> Result<End, Error> {
    let id = container.id();
    let failed = |source| Error::Spawn { id: id.clone(), source };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let size = terminal::size(rustix::stdio::stdout());
    helper(root, container, size, Some(theirs.into())).run(Some(execution))?;
    let connection = Connection::over(id, ours);
    attach::stream(root, connection, attach::Guests::Further, execution.tty, attach)
}

/// Executes as a child of a process in the background; nobody sees its output.
pub(crate) fn unseen(
    root: &Root,
    container: &Container,
    execution: &Execution,
) -> Result<(), Error> {
    helper(root, container, None, None).run(Some(execution))
}

/// Has the monitor start a further guest of a Wasm container, and is its client.
pub(crate) fn by_monitor(
    root: &Root,
    container: &Container,
    execution: &Execution,
    attach: &Attach,
) -> Result<End, Error> {
    let connection = ordered(root, container, execution, true)?;
    attach::stream(root, connection, attach::Guests::Further, execution.tty, attach)
}

/// Has the monitor start a further guest of a Wasm container, whose output nobody sees.
pub(crate) fn unseen_by_monitor(
    root: &Root,
    container: &Container,
    execution: &Execution,
) -> Result<(), Error> {
    ordered(root, container, execution, false).map(drop)
}

fn ordered(
    root: &Root,
    container: &Container,
    execution: &Execution,
    attached: bool,
) -> Result<Connection, Error> {
    let mut connection = Connection::open(root, container.id())?;
    connection.order(&Request::Execute { execution: Box::new(execution.clone()), attached })?;
    Ok(connection)
}

/// Starts a further guest, answers the client that wants it, and serves it to the end: the whole life of a child of the
/// monitor.
pub(super) fn serve_further(
    monitor: Pid,
    place: &Place,
    asked: (&Execution, bool),
    client: OwnedFd,
    channel: Option<OwnedFd>,
) {
    let descriptors = [&client].into_iter().chain(&channel).map(AsRawFd::as_raw_fd);
    if !process::become_child(monitor, descriptors) {
        return;
    }
    let mut client = Some(client);
    if let Err(error) = further(place, asked, &mut client, channel)
        && let Some(client) = client
    {
        answer(client.as_fd(), &Response::Failed(error.to_failure()));
    }
}

fn further(
    place: &Place,
    (execution, attached): (&Execution, bool),
    client: &mut Option<OwnedFd>,
    channel: Option<OwnedFd>,
) -> Result<Exit, Error> {
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let process = execution.streams();
    let (stdio, ends) = streams::make(&process, DEFAULT_SIZE)?;
    let further = execution.process();
    let guest = place.start(&further, &process, stdio, channel)?;
    let audience = match client.take() {
        Some(client) => {
            answer(client.as_fd(), &Response::Done);
            if attached { Audience::Client(client) } else { Audience::Nobody }
        }
        None => Audience::Nobody,
    };
    follow(
        (place.root, place.spec, &further),
        guest,
        ends,
        &process,
        &signals,
        audience,
        &mut || {},
    )
}

/// To a client that waits for it.
fn answer(client: BorrowedFd, response: &Response) {
    let mut line = Vec::new();
    control::put_line(&mut line, response);
    // one that is gone wants nothing; it is not written to yet, so that this fits
    let _ = rustix::io::write(client, &line);
}

fn helper<'a>(
    root: &'a Root,
    container: &'a Container,
    size: Option<(u16, u16)>,
    client: Option<OwnedFd>,
) -> Helper<'a> {
    Helper { root, id: container.id(), size, client, flag: Some("--exec") }
}

/// The process in the background.
pub(super) fn background(
    root: &Root,
    container: &Container,
    execution: &Execution,
    size: (u16, u16),
    client: Option<OwnedFd>,
    ready: &mut dyn FnMut(),
) -> Result<Exit, Error> {
    let audience = client.map_or(Audience::Nobody, Audience::Client);
    execute(root, container, execution, size, audience, ready)
}

fn execute(
    root: &Root,
    container: &Container,
    execution: &Execution,
    size: (u16, u16),
    audience: Audience,
    ready: &mut dyn FnMut(),
) -> Result<Exit, Error> {
    let spec = &container.spec;
    let not_running = || Error::NotRunning { id: spec.id.clone() };
    let init = container.state.pid.ok_or_else(not_running)?;
    let process = execution.streams();
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let (stdio, ends) = streams::make(&process, size)?;
    let further = execution.process();
    let guest = native::exec(root, spec, init, &further, stdio, &signals)?;
    follow((root, spec, &further), guest, ends, &process, &signals, audience, ready)
}

/// Everything from a further guest that runs to its end.
fn follow(
    (root, spec, further): (&Root, &ContainerSpec, &ExecProcess),
    mut guest: Guest,
    ends: Ends,
    process: &knarr_core::spec::Process,
    signals: &SignalQueue,
    audience: Audience,
    ready: &mut dyn FnMut(),
) -> Result<Exit, Error> {
    let child = Process::open(guest.pid).map_err(|source| Error::Watch { source })?;
    let ends = streams::of_guest(ends, &mut guest, process)?;
    let failed =
        |e: rustix::io::Errno| Error::Stream { operation: "take the input", source: e.into() };
    let stdin = ends.stdin.map(Sink::own).transpose().map_err(failed)?;
    let (own, client) = match audience {
        Audience::Own => (Some(streams::own(process)), None),
        Audience::Client(fd) => (None, Some(Client::attached(fd, true).map_err(failed)?)),
        Audience::Nobody => (None, None),
    };
    let id = ContainerId::random().to_string();
    let told = |actions: &[&str], more: &[(&str, String)]| {
        // the container may end before what runs in it
        let Ok(state) = state::now(root, &spec.id) else { return };
        let event = |action: &&str| {
            let event = state::event(spec, &state.name, *action).with("execID", &id);
            more.iter().fold(event, |event, (name, value)| event.with(name, value))
        };
        events::tell(root, &actions.iter().map(event).collect::<Vec<_>>());
    };
    let command = command(&further.args);
    told(&[&format!("exec_create: {command}"), &format!("exec_start: {command}")], &[]);
    ready();
    let mut session = Session {
        guest: Guarded::new(root, spec, child),
        outputs: ends.outputs,
        stdin,
        stdin_once: true,
        stdin_ends: false,
        own,
        listener: None,
        clients: client.into_iter().collect(),
        signals,
        log: None,
        terminal: process.tty,
        kill_at: None,
        stop_signal: 0,
        was_stopped: false,
        stop_asked: false,
        names: None,
        networks: None,
        denials: None,
        one_id: OneId::watch(spec),
        publication: Default::default(),
        probes: None,
        further: None,
        starts_again: false,
        _rootless: None,
    };
    let code = session.run().map_err(|source| Error::Watch { source })?;
    session.remark(code);
    told(&["exec_die"], &[("exitCode", code.to_string())]);
    let exit = Exit { code, oom_killed: false, error: None };
    session.announce(&exit, false);
    session.farewell();
    session.own.map_or(Ok(()), |own| own.written())?;
    Ok(exit)
}

/// A command as Docker's events show it: the program, and its arguments after a space, also if there are none.
fn command(args: &[String]) -> String {
    const SHOWN: usize = 4096;
    let (program, rest) = args.split_first().map_or(("", &[][..]), |(p, rest)| (p, rest));
    let command = format!("{program} {}", rest.join(" "));
    command.chars().take(SHOWN).collect()
}
