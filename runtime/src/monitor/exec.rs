//! A further process in a running container, and the streams of it: the same loop as a container's own, without a log
//! and without a socket for others.

use super::attach::{self, Attach, End};
use super::client::Connection;
use super::guest::Guarded;
use super::server::Client;
use super::session::{OneId, Session};
use super::sink::Sink;
use super::spawn::{DEFAULT_SIZE, Helper};
use super::{Error, streams};
use crate::engine::native::{self, ExecProcess};
use crate::state::{Container, Exit};
use crate::sys::process::{self, Process};
use crate::sys::signal::SignalQueue;
use crate::sys::terminal;
use knarr_core::root::Root;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
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
    attach::stream(root, Connection::over(id, ours), execution.tty, attach)
}

/// Executes as a child of a process in the background; nobody sees its output.
pub(crate) fn unseen(
    root: &Root,
    container: &Container,
    execution: &Execution,
) -> Result<(), Error> {
    helper(root, container, None, None).run(Some(execution))
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
    let process = knarr_core::spec::Process {
        tty: execution.tty,
        open_stdin: execution.interactive,
        ..Default::default()
    };
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let (stdio, ends) = streams::make(&process, size)?;
    let further = ExecProcess {
        args: execution.args.clone(),
        env: execution.env.clone(),
        cwd: execution.workdir.clone(),
        user: execution.user.clone(),
        privileged: execution.privileged,
    };
    let mut guest = native::exec(root, spec, init, &further, stdio, &signals)?;
    let child = Process::open(guest.pid).map_err(|source| Error::Watch { source })?;
    let ends = streams::of_guest(ends, &mut guest, &process)?;
    let failed =
        |e: rustix::io::Errno| Error::Stream { operation: "take the input", source: e.into() };
    let stdin = ends.stdin.map(Sink::own).transpose().map_err(failed)?;
    let (own, client) = match audience {
        Audience::Own => (Some(streams::own(&process)), None),
        Audience::Client(fd) => (None, Some(Client::attached(fd, true).map_err(failed)?)),
        Audience::Nobody => (None, None),
    };
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
        signals: &signals,
        log: None,
        terminal: execution.tty,
        kill_at: None,
        stop_signal: 0,
        was_stopped: false,
        names: None,
        networks: None,
        denials: None,
        one_id: OneId::watch(spec),
        publication: Default::default(),
        probes: None,
        starts_again: false,
        _rootless: None,
    };
    let code = session.run().map_err(|source| Error::Watch { source })?;
    session.remark(code);
    let exit = Exit { code, oom_killed: false, error: None };
    session.announce(&exit, false);
    session.farewell();
    Ok(exit)
}
