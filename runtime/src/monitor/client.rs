//! A command's end of `control.sock`.

use super::Error;
use super::control;
pub use super::control::{Request, Response};
use crate::state::Exit;
use crate::sys::resolve;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use rustix::fs::Mode;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Longest path of a socket (unix(7): 108 bytes with the final zero).
const SOCKET_PATH_LIMIT: usize = 107;

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

    /// Asks, and waits for the answer; [`Error::NotRunning`] if the monitor ends without one.
    pub fn ask(&mut self, request: &Request) -> Result<Response, Error> {
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

    /// Whether a guest runs.
    pub(super) fn is_running(&mut self) -> bool {
        self.order(&Request::Ping).is_ok()
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

/// Listens on a container's socket.
pub(super) fn listen(path: &Path) -> Result<OwnedFd, Error> {
    let failed = |source| Error::ControlSocket { path: path.to_owned(), source };
    let listener = with_short_path(path, |path| UnixListener::bind(path)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // its folder lets only the owner in as well
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    Ok(listener.into())
}

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
