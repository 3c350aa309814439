//! Talking to the kernel about links, addresses, routes and packet filters: netlink(7), one datagram for each errand.
//!
//! The kernel works a request off within the call that sends it, so nothing here ever waits.

pub mod address;
pub mod link;
pub mod neighbour;
pub mod route;
pub mod rule;

use netlink_packet_core::Emitable;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `NLM_F_*`
pub mod flag {
    pub const REQUEST: u16 = 1;
    pub const ACK: u16 = 4;
    pub const DUMP: u16 = 0x300;
    pub const EXCLUSIVE: u16 = 0x200;
    pub const CREATE: u16 = 0x400;
    pub const APPEND: u16 = 0x800;
}

/// One message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: u16,
    /// Besides `NLM_F_REQUEST`.
    pub flags: u16,
    pub payload: Vec<u8>,
}

impl Request {
    pub fn new(kind: u16, flags: u16, message: &impl Emitable) -> Self {
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        Self { kind, flags, payload }
    }
}

/// A socket, which belongs to the network namespace in which it was opened wherever it is used.
pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
}

impl Socket {
    pub fn route() -> io::Result<Self> {
        Self::open(NETLINK_ROUTE)
    }

    pub fn netfilter() -> io::Result<Self> {
        Self::open(NETLINK_NETFILTER)
    }

    fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(protocol)?;
        socket.bind_auto()?;
        // an answer need not repeat the question, and may say what was wrong with it
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Carries out requests in order, all of them, and returns the first error.
    pub fn execute(&mut self, requests: &[Request]) -> io::Result<()> {
        let acknowledged: Vec<Request> =
            requests.iter().map(|r| Request { flags: r.flags | flag::ACK, ..r.clone() }).collect();
        self.send(&acknowledged)?;
        let mut answers = 0;
        while answers < requests.len() {
            answers += self.receive(&mut |_| {})?;
        }
        Ok(())
    }

    /// Carries out requests of which only some ask for an acknowledgement (a transaction of the packet filter).
    pub fn transact(&mut self, requests: &[Request]) -> io::Result<()> {
        self.send(requests)?;
        let awaited = requests.iter().filter(|r| r.flags & flag::ACK != 0).count();
        let mut answers = 0;
        while answers < awaited {
            answers += self.receive(&mut |_| {})?;
        }
        Ok(())
    }

    /// Asks for one thing; [`io::ErrorKind::NotFound`] and the like come as errors.
    pub fn ask(&mut self, request: Request) -> io::Result<Option<Vec<u8>>> {
        let mut replies = Vec::new();
        self.send(&[Request { flags: request.flags | flag::ACK, ..request }])?;
        while self.receive(&mut |reply| replies.push(reply))? == 0 {}
        Ok(replies.into_iter().next())
    }

    /// Asks for a list.
    pub fn dump(&mut self, request: Request) -> io::Result<Vec<Vec<u8>>> {
        let mut replies = Vec::new();
        self.visit(request, &mut |reply| replies.push(reply))?;
        Ok(replies)
    }

    /// Asks for a list that may be long, and looks at each entry.
    pub fn visit(&mut self, request: Request, each: &mut dyn FnMut(Vec<u8>)) -> io::Result<()> {
        self.send(&[Request { flags: request.flags | flag::DUMP, ..request }])?;
        while self.receive(each)? == 0 {}
        Ok(())
    }

    fn send(&mut self, requests: &[Request]) -> io::Result<()> {
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence += 1;
            let length = HEADER + request.payload.len();
            datagram.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
            datagram.extend_from_slice(&request.kind.to_ne_bytes());
            datagram.extend_from_slice(&(request.flags | flag::REQUEST).to_ne_bytes());
            datagram.extend_from_slice(&self.sequence.to_ne_bytes());
            datagram.extend_from_slice(&0u32.to_ne_bytes());
            datagram.extend_from_slice(&request.payload);
            datagram.resize(datagram.len().next_multiple_of(4), 0);
        }
        self.socket.send(&datagram, 0).map(drop)
    }

    /// Reads one datagram: how many requests it finishes. A refusal empties the socket, so that the next request does not
    /// read the answers to this one.
    fn receive(&mut self, reply: &mut dyn FnMut(Vec<u8>)) -> io::Result<usize> {
        let (datagram, _) = self.socket.recv_from_full()?;
        let mut finished = 0;
        for (kind, payload) in messages(&datagram) {
            match kind {
                ERROR => match refusal(payload) {
                    None => finished += 1,
                    Some(error) => {
                        self.drain();
                        return Err(error);
                    }
                },
                DONE => finished += 1,
                _ => reply(payload.to_owned()),
            }
        }
        Ok(finished)
    }

    /// From now on nothing is waited for: the socket is polled for what the kernel tells by itself.
    pub fn never_wait(&mut self) -> io::Result<()> {
        self.socket.set_non_blocking(true)
    }

    /// What the kernel told meanwhile; [`io::ErrorKind::WouldBlock`]: nothing more.
    pub fn arrived(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut messages = Vec::new();
        self.receive(&mut |message| messages.push(message))?;
        Ok(messages)
    }

    fn drain(&mut self) {
        let mut buffer = vec![0u8; 32 << 10];
        while self.socket.recv(&mut &mut buffer[..], libc::MSG_DONTWAIT).is_ok() {}
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

fn messages(datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let payload = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// Takes an answer of the kernel apart as all callers together do.
#[cfg(fuzzing)]
pub fn exercise(datagram: &[u8]) {
    for (_, payload) in messages(datagram) {
        let _ = refusal(payload);
        link::exercise(payload);
        route::exercise(payload);
    }
}

/// The error in an answer (`struct nlmsgerr`), with the kernel's own words where it has some; `None`: done.
fn refusal(payload: &[u8]) -> Option<io::Error> {
    let code = i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?);
    if code == 0 {
        return None;
    }
    let error = io::Error::from_raw_os_error(-code);
    match explanation(payload.get(4 + HEADER..).unwrap_or_default()) {
        // keeps the kind, which callers look at
        Some(text) if error.kind() == io::ErrorKind::InvalidInput => {
            Some(io::Error::new(error.kind(), format!("{error}: {text}")))
        }
        _ => Some(error),
    }
}

/// `NLMSGERR_ATTR_MSG`
fn explanation(payload: &[u8]) -> Option<String> {
    let (_, value) = attributes(payload).find(|(kind, _)| *kind == 1)?;
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The attributes of a message: their types, without the bits about the value's form, and their values.
pub fn attributes(payload: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const KIND: u16 = 0x3fff;
    let mut rest = payload;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & KIND, value))
    })
}

/// Whether an error says that what was to be removed is not there.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO)
    )
}

/// Success where what was to be removed is gone.
pub fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if is_absent(&e) => Ok(()),
        result => result,
    }
}
