//! Monitors in the background: a process of their own session that reports once whether the guest runs.

use super::attach::{self, Attach, End};
use super::client::Connection;
use super::exec::{self, Execution};
use super::report::Report;
use super::restart::{self, Task};
use super::{Error, Start, life};
use crate::reconcile;
use crate::state::{self, Exit};
use crate::sys::process;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use knarr_core::store::Store;
use rustix::io::fcntl_dupfd_cloexec;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Whether a foreground run must begin with [`reexec`]: a guest can only be started by a process with one thread, and that
/// had no event loop before (after a pull): tokio keeps its sockets for signals for good, which a fork closes under it.
pub fn must_reexec() -> bool {
    process::threads() > 1 || process::has_sockets()
}

/// The command that runs a container in the foreground in a fresh process; to be executed in place of this one.
pub fn reexec(root: &Root, id: &ContainerId) -> Command {
    let mut command = command(root, id);
    command.arg("--foreground");
    command
}

fn command(root: &Root, id: &ContainerId) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // `ps` shows a program by what it is called with
    command.arg0("knarr");
    command.args(["internal", "monitor"]);
    command.arg(root.data()).arg(root.run()).arg(id.as_str());
    command
}

/// How a monitor in the background begins.
#[derive(Debug, Default)]
pub struct Spawn {
    /// Rows and columns of a terminal.
    pub size: Option<(u16, u16)>,
    /// A client that is attached from the first byte on.
    pub client: Option<OwnedFd>,
}

/// Starts a monitor in a session of its own, and returns when the guest runs.
pub fn spawn(root: &Root, id: &ContainerId, options: Spawn) -> Result<(), Error> {
    Helper { root, id, size: options.size, client: options.client, flag: None }.run(None)
}

/// A process of ours in the background.
pub(super) struct Helper<'a> {
    pub root: &'a Root,
    pub id: &'a ContainerId,
    pub size: Option<(u16, u16)>,
    pub client: Option<OwnedFd>,
    pub flag: Option<&'a str>,
}

impl Helper<'_> {
    /// Starts it in a session of its own, tells it what to execute, and returns when that runs.
    pub fn run(self, execution: Option<&Execution>) -> Result<(), Error> {
        let failed = |source| Error::Spawn { id: self.id.clone(), source };
        let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = command(self.root, self.id);
        command.args(self.flag);
        if let Some((rows, columns)) = self.size {
            command.arg(format!("--size={rows}x{columns}"));
        }
        // the two sockets travel as standard input and output: nothing else is inherited
        let output = match self.client {
            Some(client) => {
                command.arg("--client");
                Stdio::from(client)
            }
            None => Stdio::null(),
        };
        command.stdin(OwnedFd::from(theirs)).stdout(output).stderr(Stdio::null());
        command.env_clear().current_dir("/");
        // where the way out of an ordinary user's networks is looked for
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        // it outlives this command, which does not wait for its end
        command.spawn().map_err(failed)?;
        // our copy of its end of the socket, or we would wait for ourselves
        drop(command);
        if let Some(execution) = execution {
            let bytes = serde_json::to_vec(execution).map_err(|e| failed(e.into()))?;
            ours.write_all(&bytes).map_err(failed)?;
        }
        ours.shutdown(Shutdown::Write).map_err(failed)?;
        let mut message = Vec::new();
        ours.read_to_end(&mut message).map_err(failed)?;
        match serde_json::from_slice(&message) {
            Ok(Report::Ready) => Ok(()),
            Ok(Report::Failed(failure)) => Err(failure.into()),
            Err(_) => Err(Error::Vanished { id: self.id.clone() }),
        }
    }
}

/// Starts a monitor, and is its first client.
pub fn spawn_attached(
    root: &Root,
    id: &ContainerId,
    options: Spawn,
    spec: &ContainerSpec,
    attach: &Attach,
) -> Result<End, Error> {
    let failed = |source| Error::Spawn { id: id.clone(), source };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    spawn(root, id, Spawn { client: Some(theirs.into()), ..options })?;
    let connection = Connection::over(id, ours);
    attach::stream(root, connection, attach::Guests::First, spec.process.tty, attach)
}

/// The whole of `knarr internal monitor …`, after those two words; the exit code of a foreground run is the guest's.
///
/// `complain` shows an error of a foreground run.
pub fn entry(
    arguments: impl Iterator<Item = OsString>,
    complain: &mut dyn FnMut(&Error),
) -> ExitCode {
    let Some(arguments) = Arguments::parse(arguments) else { return ExitCode::from(2) };
    let result = match arguments.foreground {
        true => foreground(&arguments),
        false => background(&arguments),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

struct Arguments {
    root: Root,
    id: ContainerId,
    foreground: bool,
    exec: bool,
    client: bool,
    size: Option<(u16, u16)>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let (data, run) = (PathBuf::from(words.next()?), PathBuf::from(words.next()?));
        let id = words.next()?.to_str()?.parse().ok()?;
        let root = Root::new(data, run);
        let mut arguments =
            Self { root, id, foreground: false, exec: false, client: false, size: None };
        for word in words {
            match word.to_str()? {
                "--foreground" => arguments.foreground = true,
                "--exec" => arguments.exec = true,
                "--client" => arguments.client = true,
                word => {
                    let (rows, columns) = word.strip_prefix("--size=")?.split_once('x')?;
                    arguments.size = Some((rows.parse().ok()?, columns.parse().ok()?));
                }
            }
        }
        Some(arguments)
    }
}

fn foreground(arguments: &Arguments) -> Result<u8, Error> {
    let store = Store::open(&arguments.root)?;
    Ok(super::run_in_foreground(&store, &arguments.id)?.code)
}

/// Reports on the socket that came as standard input.
fn background(arguments: &Arguments) -> Result<u8, Error> {
    let (report, client) = take_streams(arguments.client)
        .map_err(|source| Error::Spawn { id: arguments.id.clone(), source })?;
    let mut report = Some(UnixStream::from(report));
    let mut request = Vec::new();
    if let Some(socket) = &mut report {
        socket
            .read_to_end(&mut request)
            .map_err(|source| Error::Spawn { id: arguments.id.clone(), source })?;
    }
    let result = match arguments.exec {
        true => execute(arguments, &request, client, &mut || send(&mut report, &Report::Ready)),
        false => live(arguments, client, &mut report),
    };
    match result {
        Ok(exit) => Ok(exit.code),
        Err(error) => {
            send(&mut report, &Report::Failed(error.to_failure()));
            Err(error)
        }
    }
}

/// Says what the command waits for, once.
fn send(report: &mut Option<UnixStream>, message: &Report) {
    if let Some(mut socket) = report.take() {
        let bytes = serde_json::to_vec(message).unwrap_or_default();
        // the command that waited may have been killed; the container runs on
        let _ = socket.write_all(&bytes);
    }
}

fn live(
    arguments: &Arguments,
    mut client: Option<OwnedFd>,
    report: &mut Option<UnixStream>,
) -> Result<Exit, Error> {
    let spec = state::load_spec(&arguments.root, &arguments.id)?;
    let mut seat = None;
    if spec.may_come_back() {
        let parted = &mut || drop((report.take(), client.take()));
        match restart::keep(&arguments.root, &arguments.id, spec.restart, parted)? {
            Task::Live(ours) => seat = Some(ours),
            Task::Done(exit) => return Ok(exit),
        }
    }
    let store = Store::open(&arguments.root)?;
    let start = Start {
        foreground: false,
        client,
        size: arguments.size.unwrap_or(DEFAULT_SIZE),
        seat,
        ready: &mut || send(report, &Report::Ready),
        observe: &mut |_| {},
    };
    life::run(&store, &arguments.id, start)
}

fn execute(
    arguments: &Arguments,
    request: &[u8],
    client: Option<OwnedFd>,
    ready: &mut dyn FnMut(),
) -> Result<Exit, Error> {
    let (root, id) = (&arguments.root, &arguments.id);
    let execution: Execution =
        serde_json::from_slice(request).map_err(|_| Error::Nonsense { id: id.clone() })?;
    let container = reconcile::container(root, id)?.filter(|c| c.state.is_alive());
    let container = container.ok_or_else(|| Error::NotRunning { id: id.clone() })?;
    let size = arguments.size.unwrap_or(DEFAULT_SIZE);
    exec::background(root, &container, &execution, size, client, ready)
}

/// Of a terminal that nobody looks at.
pub(super) const DEFAULT_SIZE: (u16, u16) = (24, 80);

/// Moves the two sockets away from the standard streams, and leaves the session of the command.
fn take_streams(client: bool) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    process::close_inherited();
    let report = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let client = client.then(|| fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)).transpose()?;
    let null = knarr_core::fsx::open_with(
        Path::new("/dev/null"),
        std::fs::OpenOptions::new().read(true).write(true),
    )
    .map_err(|e| e.source)?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::process::setsid()?;
    Ok((report, client))
}
