//! The monitor's end of `control.sock`: clients, what they asked for, what they still have to be told.

use super::control::{self, FRAME_LIMIT, Kind, Nonsense, Request, Response};
use super::log::Stream;
use super::sink::Sink;
use crate::state::{Exit, Health, HealthStatus};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// While a client has not taken this much of the guest's output, no more is read from the guest.
const BACKLOG: usize = 1 << 20;

/// What a client waits for.
#[derive(Debug, PartialEq, Eq)]
enum Role {
    /// Its request has not come yet.
    Asking,
    Attached {
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    /// For the guest's end.
    Waiting,
    /// For this state of health, or the guest's end.
    AwaitingHealth(Vec<HealthStatus>),
    /// For the end of a probe, or the guest's.
    AwaitingProbe,
    /// For nothing more than the rest of its answer.
    Leaving,
}

#[derive(Debug)]
pub(super) struct Client {
    sink: Sink<OwnedFd>,
    received: Vec<u8>,
    role: Role,
}

/// What a client wants of the guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Request(Request),
    Stdin(Vec<u8>),
    /// The client that fed the guest has no more, or is gone.
    StdinEnded,
}

impl Client {
    fn new(socket: OwnedFd) -> Result<Self, Errno> {
        Ok(Self { sink: Sink::own(socket)?, received: Vec::new(), role: Role::Asking })
    }

    /// A client that is attached from before the guest starts.
    pub fn attached(socket: OwnedFd, stdin: bool) -> Result<Self, Errno> {
        let mut client = Self::new(socket)?;
        client.role = Role::Attached { stdin, stdout: true, stderr: true };
        Ok(client)
    }

    /// For a child that answers and serves it.
    pub fn hand_over(self) -> OwnedFd {
        self.sink.into_inner()
    }

    pub fn has_output(&self) -> bool {
        !self.sink.is_empty()
    }

    /// Whether the guest has to wait for this client.
    pub fn is_slow(&self) -> bool {
        self.sink.len() >= BACKLOG
    }

    pub fn is_attached(&self) -> bool {
        matches!(self.role, Role::Attached { .. })
    }

    pub fn feeds_stdin(&self) -> bool {
        matches!(self.role, Role::Attached { stdin: true, .. })
    }

    /// Answers a request. An attach request makes the client a listener, a wait or stop request one that waits.
    pub fn answer(&mut self, request: &Request, response: Option<&Response>) {
        if self.role != Role::Asking {
            return; // what an attached client asks for in passing has no answer
        }
        if let Some(response) = response {
            control::put_line(self.sink.buffer(), response);
        }
        self.role = match (request, response) {
            (Request::Attach { stdin, stdout, stderr }, None | Some(Response::Attached { .. })) => {
                Role::Attached { stdin: *stdin, stdout: *stdout, stderr: *stderr }
            }
            (_, Some(_)) => Role::Leaving,
            (Request::AwaitHealth { until }, None) => Role::AwaitingHealth(until.clone()),
            (Request::Probe, None) => Role::AwaitingProbe,
            (_, None) => Role::Waiting,
        };
    }

    /// Passes the guest's output on, if the client wants it.
    pub fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let kind = match (&self.role, stream) {
            (Role::Attached { stdout: true, .. }, Stream::Stdout) => Kind::Stdout,
            (Role::Attached { stderr: true, .. }, Stream::Stderr) => Kind::Stderr,
            _ => return,
        };
        for chunk in bytes.chunks(FRAME_LIMIT) {
            control::put_frame(self.sink.buffer(), kind, chunk);
        }
    }

    /// Tells of the container's health, after a probe.
    pub fn probed(&mut self, health: &Health) {
        let response = match &self.role {
            Role::AwaitingHealth(until) if until.contains(&health.status) => {
                Response::Health(Some(health.status))
            }
            Role::AwaitingProbe => match health.log.last() {
                Some(probed) => Response::Probed(probed.clone()),
                None => return,
            },
            _ => return,
        };
        control::put_line(self.sink.buffer(), &response);
        self.role = Role::Leaving;
    }

    /// Tells of the guest's end.
    pub fn exited(&mut self, exit: &Exit) {
        match self.role {
            Role::Attached { .. } => {
                let bytes = serde_json::to_vec(exit).unwrap_or_default();
                control::put_frame(self.sink.buffer(), Kind::Exit, &bytes);
            }
            Role::Waiting | Role::AwaitingHealth(_) | Role::AwaitingProbe => {
                control::put_line(self.sink.buffer(), &Response::Exited(exit.clone()));
            }
            Role::Asking | Role::Leaving => {}
        }
        self.role = Role::Leaving;
    }

    /// Ends the connection without an answer, as if nobody ran.
    pub fn hang_up(&mut self) {
        self.role = Role::Leaving;
    }

    /// Writes what goes; `false` when the client is to be forgotten.
    pub fn flush(&mut self) -> bool {
        self.sink.flush().is_ok() && !(self.role == Role::Leaving && self.sink.is_empty())
    }

    /// Reads what has come. `Err` when the client is gone or talks nonsense.
    pub fn receive(&mut self) -> Result<Vec<Event>, Gone> {
        let mut chunk = [0u8; 16 << 10];
        let count = match rustix::io::read(&self.sink, &mut chunk) {
            Ok(0) => return Err(Gone),
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Vec::new()),
            Err(_) => return Err(Gone),
        };
        self.received.extend_from_slice(&chunk[..count]);
        self.events().map_err(|_| Gone)
    }

    fn events(&mut self) -> Result<Vec<Event>, Nonsense> {
        let mut events = Vec::new();
        loop {
            match self.role {
                Role::Asking => match control::take_line(&mut self.received)? {
                    Some(request) => {
                        events.push(Event::Request(request));
                        // frames that came with an attach request are taken after its answer
                        return Ok(events);
                    }
                    None => return Ok(events),
                },
                Role::Attached { stdin, .. } => match control::take_frame(&mut self.received)? {
                    Some((Kind::Stdin, bytes)) if stdin && bytes.is_empty() => {
                        events.push(Event::StdinEnded);
                    }
                    Some((Kind::Stdin, bytes)) if stdin => events.push(Event::Stdin(bytes)),
                    Some((Kind::Request, bytes)) => {
                        events.push(Event::Request(serde_json::from_slice(&bytes)?));
                    }
                    Some(_) => {}
                    None => return Ok(events),
                },
                _ => {
                    self.received.clear();
                    return Ok(events);
                }
            }
        }
    }

    /// What came in the same packet as the request that was just answered.
    pub fn rest(&mut self) -> Result<Vec<Event>, Gone> {
        if self.is_attached() { self.events().map_err(|_| Gone) } else { Ok(Vec::new()) }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sink.as_fd()
    }
}

/// The client closed its end, or was cut off.
#[derive(Debug)]
pub(super) struct Gone;

/// Takes a connection that waits, if any.
pub(super) fn accept(listener: &OwnedFd) -> Option<Client> {
    loop {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => return Client::new(socket).ok(),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(_) => return None,
        }
    }
}
