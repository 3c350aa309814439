//! A command's end of `control.sock`.

use super::Error;
use super::control;
pub use super::control::{Request, Response};
use crate::state::Exit;
use crate::sys::resolve;
use crate::sys::signal::Signal;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest path of a socket (unix(7): 108 bytes with the final zero).
const SOCKET_PATH_LIMIT: usize = 107;

/// For an answer that takes a moment, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the monitor of one container.
#[derive(Debug)]
pub struct Connection {
    id: ContainerId,
    stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    /// [`Error::NotRunning`] if no monitor listens.
    pub fn open(root: &Root, id: &ContainerId) -> Result<Self, Error> {
        let path = root.container(id).control_socket();
        let connected = with_short_path(&path, |path| UnixStream::connect(path));
        match connected {
            Ok(stream) => Ok(Self::over(id, stream)),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Err(Error::NotRunning { id: id.clone() })
            }
            Err(source) => Err(Error::Talk { id: id.clone(), source }),
        }
    }

    /// Over a socket that the monitor has inherited.
    pub(super) fn over(id: &ContainerId, stream: UnixStream) -> Self {
        Self { id: id.clone(), stream, received: Vec::new() }
    }

    /// Asks, and waits for the answer; [`Error::NotRunning`] if the monitor ends without one, [`Error::Silent`] if it takes
    /// longer than it may.
    pub fn ask(&mut self, request: &Request) -> Result<Response, Error> {
        self.ask_within(request, patience(request))
    }

    /// [`Self::ask`] for what may take so long; `None`: for ever.
    pub fn ask_within(
        &mut self,
        request: &Request,
        patience: Option<Duration>,
    ) -> Result<Response, Error> {
        self.stream.set_read_timeout(patience).map_err(|e| self.failed(e))?;
        self.send(request)?;
        loop {
            let message = control::take_line(&mut self.received);
            if let Some(response) = message.map_err(|_| self.nonsense())? {
                return match response {
                    Response::Failed(failure) => Err(failure.into()),
                    response => Ok(response),
                };
            }
            let mut chunk = [0; 4096];
            match (&self.stream).read(&mut chunk) {
                Ok(0) => return Err(Error::NotRunning { id: self.id.clone() }),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(e)),
            }
        }
    }

    /// Asks, and leaves the answer to be waited for on [`Self::socket`].
    pub(crate) fn send(&self, request: &Request) -> Result<(), Error> {
        let mut line = Vec::new();
        control::put_line(&mut line, request);
        (&self.stream).write_all(&line).map_err(|e| self.failed(e))
    }

    fn failed(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Error::NotRunning { id: self.id.clone() }
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::Silent { id: self.id.clone() }
            }
            _ => Error::Talk { id: self.id.clone(), source: error },
        }
    }

    /// Asks for something that is done at once.
    pub fn order(&mut self, request: &Request) -> Result<(), Error> {
        match self.ask(request)? {
            Response::Done => Ok(()),
            _ => Err(self.nonsense()),
        }
    }

    /// Asks for something that is answered with the guest's end.
    pub fn until_exit(&mut self, request: &Request) -> Result<Exit, Error> {
        match self.ask(request)? {
            Response::Exited(exit) => Ok(exit),
            _ => Err(self.nonsense()),
        }
    }

    /// Ends the guest. A monitor that does not answer, since somebody has stopped it, say, is killed, and its guest with it:
    /// then the answer is `false`, and whoever restarts the container may have done so.
    pub fn end(&mut self, root: &Root, request: &Request) -> Result<bool, Error> {
        match self.until_exit(request) {
            Err(Error::Silent { .. }) => {
                self.kill_monitor(root)?;
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    /// The process that listens lives, or nobody could connect: its number is no other one's. It need not be the one that
    /// this connection was made to, see [`listen_again`].
    fn kill_monitor(&self, root: &Root) -> Result<(), Error> {
        let now = Self::open(root, &self.id)?;
        now.kill_listener().map_err(|e| self.failed(e.into()))
    }

    /// Kills whoever listens, one process after the other, until nobody does: for a container whose records say nothing.
    pub fn kill_all(root: &Root, id: &ContainerId) -> Result<(), Error> {
        loop {
            let connection = match Self::open(root, id) {
                Err(Error::NotRunning { .. }) => return Ok(()),
                other => other?,
            };
            connection.kill_listener().map_err(|e| connection.failed(e.into()))?;
        }
    }

    fn kill_listener(&self) -> rustix::io::Result<()> {
        let listener = sockopt::socket_peercred(&self.stream)?.pid;
        let process = pidfd_open(listener, PidfdFlags::empty())?;
        pidfd_send_signal(&process, rustix::process::Signal::KILL)?;
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        poll(&mut ended, None).map(drop)
    }

    /// Whether a guest runs. One whose monitor does not answer does.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.order(&Request::Ping), Ok(()) | Err(Error::Silent { .. }))
    }

    /// The socket, and what was received after the last answer.
    pub(super) fn into_parts(self) -> (UnixStream, Vec<u8>) {
        (self.stream, self.received)
    }

    /// Readable when the monitor says something or ends.
    pub fn socket(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(super) fn nonsense(&self) -> Error {
        Error::Nonsense { id: self.id.clone() }
    }
}

/// How long a monitor may take to answer: it does little else. `None`: the answer comes with the guest's end.
fn patience(request: &Request) -> Option<Duration> {
    let grace = match request {
        // a module may have to be compiled first
        Request::Wait | Request::AwaitHealth { .. } | Request::Probe | Request::Execute { .. } => {
            return None;
        }
        Request::Stop { signal, .. } if *signal == Signal::KILL.number() => 0,
        Request::Stop { timeout, .. } => u64::try_from(*timeout).ok()?,
        _ => 0,
    };
    Some(PATIENCE.saturating_add(Duration::from_secs(grace)))
}

/// Listens on a container's socket.
pub(super) fn listen(path: &Path) -> Result<OwnedFd, Error> {
    let failed = |source| Error::ControlSocket { path: path.to_owned(), source };
    let listener = with_short_path(path, |path| UnixListener::bind(path)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // its folder lets only the owner in as well
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    Ok(listener.into())
}

/// Makes this process the one that listens, by the kernel's word to whoever connects from now on (unix(7), `SO_PEERCRED`),
/// on a socket that another one of the container's processes has made.
pub(super) fn listen_again(listener: &OwnedFd) -> io::Result<()> {
    Ok(rustix::net::listen(listener, BACKLOG)?)
}

/// Connections that wait to be accepted: what the standard library asks for.
const BACKLOG: i32 = 128;

/// Reaches a socket whose path is too long for its address by way of its open folder.
fn with_short_path<T>(path: &Path, action: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if path.as_os_str().len() <= SOCKET_PATH_LIMIT {
        return action(path);
    }
    let folder = resolve::open_root(folder)?;
    let short: PathBuf = resolve::path_of(&folder).join(name);
    action(&short)
}
