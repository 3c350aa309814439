//! `tcp://` and `http://`: a socket that never waits.

use super::Outcome;
use super::places::Addressed;
use crate::net;
use knarr_core::spec::health::Target;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, connect, send, socket_with, sockopt,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longer than any head of an answer that is worth looking at.
const LONGEST: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    /// Sockets in the container's network, with where they are to lead; the last one is tried next.
    ahead: Vec<(OwnedFd, SocketAddr)>,
    current: Option<(OwnedFd, SocketAddr)>,
    stage: Stage,
    /// `None`: a connection is all that is wanted.
    request: Option<Vec<u8>>,
    sent: usize,
    received: Vec<u8>,
    /// Why there is none so far.
    refused: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Sending,
    Receiving,
}

impl Connection {
    pub fn begin(place: Addressed, get: Option<(Target, &str)>) -> Self {
        let (ahead, refused) = match sockets(&place) {
            Ok(sockets) => (sockets, None),
            Err(e) => (Vec::new(), Some(format!("cannot connect: {e}"))),
        };
        let request = get.map(|(target, path)| {
            let host = match target.address {
                Some(ip) => SocketAddr::new(ip, target.port).to_string(),
                None => format!("localhost:{}", target.port),
            };
            format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: knarr-health\r\nAccept: */*\r\n\
                 Connection: close\r\n\r\n"
            )
            .into_bytes()
        });
        Self {
            ahead,
            current: None,
            stage: Stage::Connecting,
            request,
            sent: 0,
            received: Vec::new(),
            refused,
        }
    }

    pub fn wanted(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let (socket, _) = self.current.as_ref()?;
        let flags = if self.stage == Stage::Receiving { PollFlags::IN } else { PollFlags::OUT };
        Some((socket.as_fd(), flags))
    }

    /// What it waits for.
    pub fn doing(&self) -> String {
        let Some((_, address)) = &self.current else { return String::new() };
        match self.stage {
            Stage::Connecting => format!("{address} does not answer"),
            Stage::Sending | Stage::Receiving => {
                format!("{address} is connected, but gives no answer")
            }
        }
    }

    /// Goes on as far as it goes without waiting.
    pub fn advance(&mut self) -> Option<Outcome> {
        loop {
            let Some((socket, address)) = self.current.take() else {
                match self.ahead.pop() {
                    Some((socket, address)) => {
                        // told when the socket is ready
                        let begun = connect(&socket, &address);
                        self.stage = Stage::Connecting;
                        match begun {
                            Ok(()) => {}
                            Err(Errno::INPROGRESS | Errno::INTR) => {
                                self.current = Some((socket, address));
                                return None;
                            }
                            Err(e) => {
                                self.refuse(address, &e.into());
                                continue;
                            }
                        }
                        self.current = Some((socket, address));
                    }
                    None => {
                        let reason = self.refused.take().unwrap_or_default();
                        return Some(Outcome::failed(1, reason));
                    }
                }
                continue;
            };
            match self.step(&socket, address) {
                Ok(Step::Over(outcome)) => return Some(outcome),
                Ok(Step::Go) => self.current = Some((socket, address)),
                Ok(Step::Wait) => {
                    self.current = Some((socket, address));
                    return None;
                }
                Err(e) if self.stage == Stage::Connecting => self.refuse(address, &e.into()),
                Err(e) => {
                    let e = io::Error::from(e);
                    return Some(Outcome::failed(1, format!("cannot talk to {address}: {e}")));
                }
            }
        }
    }

    /// The first reason says most.
    fn refuse(&mut self, address: SocketAddr, error: &io::Error) {
        let reason = || format!("cannot connect to {address}: {error}");
        self.refused.get_or_insert_with(reason);
    }

    fn step(&mut self, socket: &OwnedFd, address: SocketAddr) -> Result<Step, Errno> {
        match self.stage {
            Stage::Connecting => {
                sockopt::socket_error(socket)??;
                match rustix::net::getpeername(socket) {
                    Ok(_) => {}
                    Err(Errno::NOTCONN) => return Ok(Step::Wait),
                    Err(e) => return Err(e),
                }
                if self.request.is_none() {
                    let output = format!("connected to {address}").into_bytes();
                    return Ok(Step::Over(Outcome { code: 0, output }));
                }
                self.stage = Stage::Sending;
                Ok(Step::Go)
            }
            Stage::Sending => {
                let rest = self.request.as_deref().and_then(|all| all.get(self.sent..));
                let rest = rest.unwrap_or_default();
                if rest.is_empty() {
                    self.stage = Stage::Receiving;
                    return Ok(Step::Go);
                }
                match send(socket, rest, SendFlags::NOSIGNAL) {
                    Ok(count) => self.sent += count,
                    Err(Errno::AGAIN) => return Ok(Step::Wait),
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e),
                }
                Ok(Step::Go)
            }
            Stage::Receiving => {
                let mut chunk = [0; 4096];
                let count = match rustix::io::read(socket, &mut chunk) {
                    Ok(count) => count,
                    Err(Errno::AGAIN) => return Ok(Step::Wait),
                    Err(Errno::INTR) => return Ok(Step::Go),
                    Err(e) => return Err(e),
                };
                self.received.extend_from_slice(&chunk[..count]);
                let ended = count == 0 || self.received.len() > LONGEST;
                Ok(match answer(&self.received) {
                    Answer::Status(code, line) => {
                        let healthy = (200..400).contains(&code);
                        Step::Over(Outcome::failed((!healthy).into(), line))
                    }
                    Answer::Nonsense => {
                        Step::Over(Outcome::failed(1, format!("{address} does not speak HTTP")))
                    }
                    Answer::More if ended => {
                        let said = format!("{address} ends the connection without an answer");
                        Step::Over(Outcome::failed(1, said))
                    }
                    Answer::More => Step::Go,
                })
            }
        }
    }
}

enum Step {
    Go,
    Wait,
    Over(Outcome),
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It has not come yet.
    More,
    /// The code, and the line that it is in.
    Status(u16, String),
    Nonsense,
}

/// Reads the status line of an answer (RFC 9112), after those that announce one (1xx).
fn answer(mut received: &[u8]) -> Answer {
    const BEGIN: &[u8] = b"HTTP/1.";
    loop {
        let known = received.len().min(BEGIN.len());
        if received[..known] != BEGIN[..known] {
            return Answer::Nonsense;
        }
        let Some(end) = received.iter().position(|byte| *byte == b'\n') else {
            return Answer::More;
        };
        let line = String::from_utf8_lossy(&received[..end]).trim_end().to_owned();
        let code = line.split(' ').nth(1).filter(|code| code.len() == 3);
        match code.and_then(|code| code.parse().ok()) {
            Some(100..=199) => match received.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(at) => received = &received[at + 4..],
                None => return Answer::More,
            },
            Some(code) => return Answer::Status(code, line),
            None => return Answer::Nonsense,
        }
    }
}

/// A socket for each address, the first one last.
fn sockets(place: &Addressed) -> io::Result<Vec<(OwnedFd, SocketAddr)>> {
    let make = || {
        let mut sockets = Vec::new();
        for address in place.addresses.iter().rev() {
            let family = match address {
                SocketAddr::V4(_) => AddressFamily::INET,
                SocketAddr::V6(_) => AddressFamily::INET6,
            };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match socket_with(family, SocketType::STREAM, flags, None) {
                Ok(socket) => sockets.push((socket, *address)),
                // a host without IPv6
                Err(Errno::AFNOSUPPORT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(sockets)
    };
    match &place.namespace {
        Some(namespace) => net::within(namespace.as_fd(), make),
        None => make(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        let status = |code, line: &str| Answer::Status(code, line.to_owned());
        for (text, expected) in [
            ("", Answer::More),
            ("HTT", Answer::More),
            ("HTTP/1.1 200 O", Answer::More),
            ("HTTP/1.1 200 OK\r\n", status(200, "HTTP/1.1 200 OK")),
            ("HTTP/1.0 404\n", status(404, "HTTP/1.0 404")),
            ("HTTP/1.1 103 Hints\r\nA: b\r\n", Answer::More),
            ("HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 \r\n", status(204, "HTTP/1.1 204")),
            ("HTTP/2 200\r\n", Answer::Nonsense),
            ("SSH-2.0\r\n", Answer::Nonsense),
            ("HTTP/1.1 2000 OK\r\n", Answer::Nonsense),
            ("HTTP/1.1 OK\r\n", Answer::Nonsense),
        ] {
            assert_eq!(answer(text.as_bytes()), expected, "{text:?}");
        }
    }
}
