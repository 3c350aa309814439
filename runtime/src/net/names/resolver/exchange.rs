//! One question on its way to other servers: one after the other, until one has an answer.

use super::super::message::{self, Code, Query};
use super::Asker;
use super::stream::{is_temporary, take_message};
use crate::net::rootless::Outside;
use rustix::event::PollFlags;
use rustix::net::{SocketType, connect};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a server may take. glibc's and musl's clients give up after five seconds: by then the second one was asked.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });
/// How often all servers are asked.
const ROUNDS: usize = 2;

#[derive(Debug)]
pub(super) struct Exchange {
    pub number: u64,
    pub asker: Asker,
    pub query: Query,
    pub until: Instant,
    /// The question as it came, with an id that the client does not know.
    message: Vec<u8>,
    id: u16,
    servers: Vec<SocketAddr>,
    outside: Outside,
    /// How many have been asked.
    asked: usize,
    transport: Option<Transport>,
    /// What a server said that could not help; given back when no other could either.
    refusal: Option<Vec<u8>>,
    stream: bool,
}

#[derive(Debug)]
enum Transport {
    Datagram(UdpSocket),
    Stream { socket: TcpStream, outgoing: Vec<u8>, incoming: Vec<u8> },
}

#[derive(Debug)]
pub(super) enum Progress {
    Waiting,
    Answered(Vec<u8>),
    Failed,
}

impl Exchange {
    pub fn new(
        number: u64,
        asker: Asker,
        query: Query,
        message: &[u8],
        servers: Vec<SocketAddr>,
        outside: Outside,
    ) -> Self {
        Self {
            number,
            asker,
            query,
            until: Instant::now() + PATIENCE,
            message: message.to_owned(),
            id: 0,
            servers,
            outside,
            asked: 0,
            transport: None,
            refusal: None,
            stream: matches!(asker, Asker::Stream(_)),
        }
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.transport {
            Some(Transport::Datagram(socket)) => socket.as_fd(),
            Some(Transport::Stream { socket, .. }) => socket.as_fd(),
            // never polled: an exchange without a socket has failed and is gone
            None => rustix::stdio::stdin(),
        }
    }

    pub fn wanted(&self) -> PollFlags {
        match &self.transport {
            Some(Transport::Stream { outgoing, .. }) if !outgoing.is_empty() => PollFlags::OUT,
            _ => PollFlags::IN,
        }
    }

    /// Asks the first server.
    pub fn begin(&mut self) -> Progress {
        self.next_server()
    }

    /// Asks the next server; they all have their turn twice.
    pub fn next_server(&mut self) -> Progress {
        while self.asked < self.servers.len() * ROUNDS {
            let server = self.servers[self.asked % self.servers.len()];
            self.asked += 1;
            if self.ask(server).is_ok() {
                return Progress::Waiting;
            }
        }
        self.transport = None;
        self.refusal.take().map_or(Progress::Failed, Progress::Answered)
    }

    /// A socket, and with it a port of the kernel's choice, for each question: with the id, 32 bits to guess for whoever
    /// would like to answer in the server's place.
    fn ask(&mut self, server: SocketAddr) -> io::Result<()> {
        let mut id = [0; 2];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
        self.id = u16::from_be_bytes(id);
        message::set_id(&mut self.message, self.id);
        let kind = if self.stream { SocketType::STREAM } else { SocketType::DGRAM };
        let socket = self.outside.open(kind, server.ip())?;
        match connect(&socket, &server) {
            Ok(()) => {}
            Err(rustix::io::Errno::INPROGRESS) if self.stream => {}
            Err(e) => return Err(e.into()),
        }
        self.transport = Some(if self.stream {
            let mut outgoing = (self.message.len() as u16).to_be_bytes().to_vec();
            outgoing.extend(&self.message);
            Transport::Stream { socket: socket.into(), outgoing, incoming: Vec::new() }
        } else {
            let socket = UdpSocket::from(socket);
            socket.send(&self.message)?;
            Transport::Datagram(socket)
        });
        self.until = Instant::now() + PATIENCE;
        Ok(())
    }

    /// Reads and writes what can be.
    pub fn advance(&mut self) -> Progress {
        loop {
            let Some(answer) = (match self.transfer() {
                Ok(answer) => answer,
                // nobody listens there, or the connection broke
                Err(_) => return self.next_server(),
            }) else {
                return Progress::Waiting;
            };
            // what is no answer to this question is somebody else's, or an attempt to forge one
            if !self.query.is_answered_by(&answer, self.id) {
                continue;
            }
            return self.judge(answer);
        }
    }

    fn judge(&mut self, answer: Vec<u8>) -> Progress {
        match message::code(&answer) {
            // a guest's channel takes messages of any length, and has no second way to ask
            Code::Done
                if message::is_truncated(&answer) && matches!(self.asker, Asker::Guest(_)) =>
            {
                self.stream = true;
                self.asked -= 1;
                self.next_server()
            }
            Code::Done | Code::NoSuchName => Progress::Answered(answer),
            Code::Malformed | Code::Failed | Code::NotImplemented | Code::Refused => {
                self.refusal = Some(answer);
                self.next_server()
            }
        }
    }

    /// One message, if one has come.
    fn transfer(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; super::LONGEST];
        match &mut self.transport {
            None => Ok(None),
            Some(Transport::Datagram(socket)) => match socket.recv(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    Ok(Some(buffer))
                }
                Err(e) if is_temporary(&e) => Ok(None),
                Err(e) => Err(e),
            },
            Some(Transport::Stream { socket, outgoing, incoming }) => {
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
                while !outgoing.is_empty() {
                    match socket.write(outgoing) {
                        Ok(count) => drop(outgoing.drain(..count)),
                        Err(e) if is_temporary(&e) => return Ok(None),
                        Err(e) => return Err(e),
                    }
                }
                loop {
                    if let Some(message) = take_message(incoming) {
                        return Ok(Some(message));
                    }
                    match socket.read(&mut buffer) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(count) => incoming.extend(&buffer[..count]),
                        Err(e) if is_temporary(&e) => return Ok(None),
                        Err(e) => return Err(e),
                    }
                }
            }
        }
    }
}
