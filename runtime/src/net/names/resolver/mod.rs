//! The name server of one container: it knows the names on the container's networks and asks other servers for the rest.
//!
//! It runs in the container's monitor, a plain `poll` loop with one thread, so it never waits: [`Resolver::wanted`] says
//! what to poll, [`Resolver::ready`] does what can be done, [`Resolver::deadline`] and [`Resolver::tick`] see to servers
//! that do not answer. A native container asks on 127.0.0.11:53 (sockets that live in its network namespace, opened by
//! [`Sockets::open`]), a Wasm container through a pair of connected sockets, since its process may open no other.
//! The servers beyond are asked from the host's namespace ([`Outside`](crate::net::rootless)): there alone a server on the
//! host's loopback (systemd-resolved) can be reached.

mod exchange;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;

use super::allowed::Allowed;
use super::channel;
use super::message::{self, Code, Data, Query, Unreadable};
use super::servers::Upstream;
use super::table::Table;
use crate::net::loopback::Mappings;
use exchange::{Exchange, Progress};
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use knarr_core::spec::network::NetworkSpec;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use stream::Stream;

pub use sockets::{ADDRESS, Sockets};

/// Questions on their way at once; each has a descriptor. A container that asks more has to ask again.
const EXCHANGES: usize = 256;
/// TCP connections at once.
const STREAMS: usize = 32;
/// Datagrams answered in one turn, so that a flood leaves the rest of the monitor its time.
const TURN: usize = 64;
/// The longest message.
const LONGEST: usize = 65_535;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Datagrams,
    Connections,
    Guest(u64),
    Stream(u64),
    Exchange(u64),
}

/// Who asked, and how the answer goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Datagram(SocketAddr),
    Stream(u64),
    Guest(u64),
}

/// Told of a name that `--allow-outbound` allows, and of the addresses it turned out to have.
pub type Learnt = Box<dyn FnMut(&str, &[IpAddr])>;

/// The name server of one container.
pub struct Resolver {
    table: Table,
    upstream: Upstream,
    allowed: Option<(Arc<Allowed>, Learnt)>,
    sockets: Option<Sockets>,
    /// The container's guest, and further ones of it.
    guests: Vec<(u64, OwnedFd)>,
    mappings: Option<Mappings>,
    streams: Vec<Stream>,
    exchanges: Vec<Exchange>,
    /// Numbers streams and exchanges: a slot's index would come to mean another one.
    next: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Resolver {
    pub fn new(table: Table, upstream: Upstream) -> Self {
        Self {
            table,
            upstream,
            allowed: None,
            sockets: None,
            guests: Vec::new(),
            mappings: None,
            streams: Vec::new(),
            exchanges: Vec::new(),
            next: 0,
            buffer: Vec::new(),
        }
    }

    /// Answers on these sockets from now on.
    #[must_use]
    pub fn on(mut self, sockets: Sockets) -> Self {
        self.sockets = Some(sockets);
        self
    }

    /// Looks up only the names of this list; everything else is refused. `learnt` is called before an answer leaves, so
    /// that what it opens is open when the answer arrives.
    #[must_use]
    pub fn only(mut self, allowed: Arc<Allowed>, learnt: Learnt) -> Self {
        self.allowed = Some((allowed, learnt));
        self
    }

    /// Also answers where the containers of the loopback's networks are reached.
    #[must_use]
    pub(crate) fn mapping(mut self, mappings: Option<Mappings>) -> Self {
        self.mappings = mappings;
        self
    }

    /// Knows the names of these networks from now on.
    pub(crate) fn follow(&mut self, root: &Root, spec: &ContainerSpec, networks: &[NetworkSpec]) {
        self.table = Table::open(root, networks).linking(&spec.links);
        self.upstream = super::upstream(root, spec, networks);
        let mappings = Mappings::of(root, &spec.id, networks);
        self.mappings = mappings.map(|new| new.with_ports_of(self.mappings.take()));
    }

    /// A guest's end of a pair of connected sockets ([`channel`]).
    pub fn channel(&mut self) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC;
        let (own, guests) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // only ours: the guest's process waits for answers
        rustix::io::ioctl_fionbio(&own, true)?;
        let number = self.number();
        self.guests.push((number, own));
        Ok(guests)
    }

    /// What to wait for.
    pub fn wanted(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let sockets = self.sockets.as_ref();
        let accepts = self.streams.len() < STREAMS;
        let fixed = [
            sockets.map(|s| (Kind::Datagrams, s.datagrams.as_fd())),
            sockets.filter(|_| accepts).map(|s| (Kind::Connections, s.connections.as_fd())),
        ];
        let fixed = fixed.into_iter().flatten().map(|(kind, fd)| (kind, fd, PollFlags::IN));
        let streams = self.streams.iter().map(|s| (Kind::Stream(s.number), s.as_fd(), s.wanted()));
        let exchanges =
            self.exchanges.iter().map(|e| (Kind::Exchange(e.number), e.as_fd(), e.wanted()));
        let guests = self.guests.iter().map(|(n, fd)| (Kind::Guest(*n), fd.as_fd(), PollFlags::IN));
        fixed
            .chain(guests)
            .chain(streams)
            .chain(exchanges)
            .map(|(kind, fd, flags)| (Source(kind), fd, flags))
    }

    /// Does what can be done now.
    pub fn ready(&mut self, source: Source) {
        match source.0 {
            Kind::Datagrams => self.receive(),
            Kind::Connections => self.accept(),
            Kind::Guest(number) => self.receive_from_guest(number),
            Kind::Stream(number) => self.serve(number),
            Kind::Exchange(number) => {
                if let Some(at) = self.exchanges.iter().position(|e| e.number == number) {
                    let progress = self.exchanges[at].advance();
                    self.settle(at, progress);
                }
            }
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let exchanges = self.exchanges.iter().map(|e| e.until);
        exchanges.chain(self.streams.iter().map(|s| s.until)).min()
    }

    /// Gives up on servers and clients that have been silent for too long.
    pub fn tick(&mut self) {
        let now = Instant::now();
        self.streams.retain(|s| s.until > now);
        let mut at = self.exchanges.len();
        while at > 0 {
            at -= 1;
            if self.exchanges[at].until <= now {
                let progress = self.exchanges[at].next_server();
                self.settle(at, progress);
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(LONGEST, 0);
        for _ in 0..TURN {
            let Some(sockets) = &self.sockets else { break };
            // an error is about an answer that could not be delivered
            match sockets.datagrams.recv_from(&mut buffer) {
                Ok((length, from)) => self.asked(&buffer[..length], Asker::Datagram(from)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        self.spare_memory();
    }

    fn receive_from_guest(&mut self, number: u64) {
        let mut buffer = [0; 1024];
        for _ in 0..TURN {
            let Some((_, guest)) = self.guests.iter().find(|(n, _)| *n == number) else { return };
            match rustix::net::recv(guest, &mut buffer, RecvFlags::empty()) {
                // all ends are closed: it has ended, or needs no names
                Ok((0, _)) => self.guests.retain(|(n, _)| *n != number),
                Ok((length, _)) => self.asked_by_guest(number, &buffer[..length]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.guests.retain(|(n, _)| *n != number),
            }
        }
    }

    fn asked_by_guest(&mut self, number: u64, message: &[u8]) {
        match channel::parts(message) {
            Some((channel::NAMES, ..)) => self.asked(&message[1..], Asker::Guest(number)),
            Some((channel::ADDRESSES, mark, rest)) => {
                let Ok(request) = serde_json::from_slice(rest) else { return };
                let table = &self.table;
                let found = self.mappings.as_mut().and_then(|m| m.answer(&request, table));
                let answer = serde_json::to_vec(&found).unwrap_or_default();
                self.send_to_guest(number, &channel::compose(channel::ADDRESSES, mark, &answer));
            }
            _ => {}
        }
    }

    /// An answer that cannot be sent is lost, as any datagram may be.
    fn send_to_guest(&self, number: u64, message: &[u8]) {
        if let Some((_, guest)) = self.guests.iter().find(|(n, _)| *n == number) {
            let _ = rustix::net::send(guest, message, SendFlags::NOSIGNAL);
        }
    }

    fn accept(&mut self) {
        while self.streams.len() < STREAMS {
            let Some(sockets) = &self.sockets else { return };
            // out of descriptors, or a client that is gone again
            let Ok((stream, _)) = sockets.connections.accept() else { return };
            let number = self.number();
            self.streams.extend(Stream::new(number, stream).ok());
        }
    }

    fn serve(&mut self, number: u64) {
        let Some(at) = self.streams.iter().position(|s| s.number == number) else { return };
        let Some(messages) = self.streams[at].advance() else {
            self.streams.swap_remove(at);
            self.exchanges.retain(|e| e.asker != Asker::Stream(number));
            return;
        };
        for message in messages {
            self.asked(&message, Asker::Stream(number));
        }
    }

    /// Answers a question, or passes it on.
    fn asked(&mut self, message: &[u8], asker: Asker) {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(Unreadable::Answer(answer)) => return self.reply(asker, &answer),
            Err(Unreadable::Ignore) => return,
        };
        let stream = !matches!(asker, Asker::Datagram(_));
        if let Some((code, records)) = self.answer(&query) {
            self.learn(&query, &records.iter().filter_map(address).collect::<Vec<_>>());
            return self.reply(asker, &query.answer(code, &records, stream));
        }
        // a client that asks again has not waited long enough
        if self.exchanges.iter().any(|e| e.asker == asker && e.query == query) {
            return;
        }
        let servers = self.upstream.servers();
        if servers.is_empty() {
            return self.reply(asker, &query.answer(Code::NoSuchName, &[], stream));
        }
        if self.exchanges.len() >= EXCHANGES {
            return self.reply(asker, &query.answer(Code::Failed, &[], stream));
        }
        let servers = servers.to_vec();
        let number = self.number();
        let mut exchange =
            Exchange::new(number, asker, query, message, servers, self.upstream.outside.clone());
        let progress = exchange.begin();
        self.exchanges.push(exchange);
        self.settle(self.exchanges.len() - 1, progress);
    }

    /// Whether it asks what an address is called that the list has, or one of our networks. Any other name of that kind would
    /// carry whatever is written in it to whoever answers for it.
    fn is_reverse_of(&self, query: &Query, allowed: &Allowed) -> bool {
        query.kind == message::PTR
            && message::address_of_reverse(&query.name)
                .is_some_and(|address| self.table.covers(address) || allowed.has(address))
    }

    /// What is known without asking anybody.
    fn answer(&self, query: &Query) -> Option<(Code, Vec<Data>)> {
        let wants = |ip: &IpAddr| match query.kind {
            message::A => ip.is_ipv4(),
            message::AAAA => ip.is_ipv6(),
            kind => kind == message::ANY,
        };
        if let Some((allowed, _)) = &self.allowed
            && allowed.ports_of_name(&query.name).is_empty()
            && !self.is_reverse_of(query, allowed)
        {
            return Some((Code::Refused, Vec::new()));
        }
        let known = match query.name.as_str() {
            // RFC 6761, 6.3
            "localhost" => Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            name => self.table.lookup(name),
        };
        if let Some(addresses) = known {
            let records = addresses.into_iter().filter(wants).map(Data::Address).collect();
            return Some((Code::Done, records));
        }
        let address = message::address_of_reverse(&query.name)?;
        if let Some(name) = self.table.reverse(address) {
            let wanted = [message::PTR, message::ANY].contains(&query.kind);
            let records = wanted.then_some(Data::Name(name)).into_iter().collect();
            return Some((Code::Done, records));
        }
        // nobody else knows the addresses of our networks
        self.table.covers(address).then(|| (Code::NoSuchName, Vec::new()))
    }

    /// Goes on with an exchange that got somewhere.
    fn settle(&mut self, at: usize, progress: Progress) {
        let answer = match progress {
            Progress::Waiting => return,
            Progress::Answered(answer) => Some(answer),
            Progress::Failed => None,
        };
        let exchange = self.exchanges.swap_remove(at);
        let answer = match answer {
            Some(mut answer) => {
                message::set_id(&mut answer, exchange.query.id);
                if self.allowed.is_some() {
                    let addresses = message::addresses(&answer).unwrap_or_default();
                    self.learn(&exchange.query, &addresses);
                }
                answer
            }
            None => exchange.query.answer(Code::Failed, &[], true),
        };
        self.reply(exchange.asker, &answer);
    }

    fn learn(&mut self, query: &Query, addresses: &[IpAddr]) {
        if let Some((allowed, learnt)) = &mut self.allowed
            && !addresses.is_empty()
        {
            allowed.learn(&query.name, addresses);
            learnt(&query.name, addresses);
        }
    }

    /// Sends an answer. One that cannot be sent is lost, as any datagram may be: the client asks again.
    fn reply(&mut self, asker: Asker, answer: &[u8]) {
        match asker {
            Asker::Datagram(to) => {
                if let Some(sockets) = &self.sockets {
                    let _ = sockets.datagrams.send_to(answer, to);
                }
            }
            Asker::Guest(guest) => {
                self.send_to_guest(guest, &[&[channel::NAMES], answer].concat());
            }
            Asker::Stream(number) => {
                if let Some(stream) = self.streams.iter_mut().find(|s| s.number == number) {
                    stream.send(answer);
                }
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// An idle monitor keeps no buffer.
    fn spare_memory(&mut self) {
        if self.exchanges.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

fn address(data: &Data) -> Option<IpAddr> {
    match data {
        Data::Address(ip) => Some(*ip),
        Data::Name(_) => None,
    }
}
