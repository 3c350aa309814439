//! A client's TCP connection: messages with their length in front (RFC 1035, 4.2.2; RFC 7766).

use rustix::event::PollFlags;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(30);
/// Answers that wait for a client that does not read them: more, and it is cut off.
const UNREAD: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Stream {
    pub number: u64,
    pub until: Instant,
    socket: TcpStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The client asks no more.
    ended: bool,
    /// Questions that were passed on and have no answer yet.
    open: usize,
}

impl Stream {
    pub fn new(number: u64, socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let until = Instant::now() + IDLE;
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        Ok(Self { number, until, socket, incoming, outgoing, ended: false, open: 0 })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn wanted(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !self.ended);
        flags.set(PollFlags::OUT, !self.outgoing.is_empty());
        flags
    }

    /// Reads and writes what can be; the questions that came. `None`: the connection is over.
    pub fn advance(&mut self) -> Option<Vec<Vec<u8>>> {
        self.flush()?;
        let mut chunk = [0; 4096];
        if !self.ended {
            match self.socket.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(count) => self.incoming.extend(&chunk[..count]),
                Err(e) if is_temporary(&e) => {}
                Err(_) => return None,
            }
        }
        let mut messages = Vec::new();
        while let Some(message) = take_message(&mut self.incoming) {
            messages.push(message);
        }
        self.open += messages.len();
        if !messages.is_empty() {
            self.until = Instant::now() + IDLE;
        }
        let over = self.ended && self.open == 0 && self.outgoing.is_empty();
        (!over).then_some(messages)
    }

    pub fn send(&mut self, answer: &[u8]) {
        self.open = self.open.saturating_sub(1);
        let Ok(length) = u16::try_from(answer.len()) else { return };
        self.outgoing.extend(length.to_be_bytes());
        self.outgoing.extend(answer);
        let _ = self.flush();
        if self.outgoing.len() > UNREAD {
            self.until = Instant::now();
        }
    }

    fn flush(&mut self) -> Option<()> {
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(e) if is_temporary(&e) => break,
                Err(_) => {
                    // polled as ready, it is found to be over
                    self.outgoing.clear();
                    return None;
                }
            }
        }
        Some(())
    }
}

/// The first message of what has come, if it is complete.
pub(super) fn take_message(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let message = bytes.get(2..2 + length)?.to_owned();
    bytes.drain(..2 + length);
    Some(message)
}

pub(super) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
