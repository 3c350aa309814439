//! On a network that the host's loopback carries ([`crate::net::loopback`]).

use super::{Published, Refusal, lock};
use crate::engine::wasm::host::monitor::Monitor;
use crate::net::names::channel::Request;
use crate::net::{Surroundings, loopback};
use knarr_core::spec::Protocol;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long it is remembered where a port is reached: a datagram is not worth a question.
const KEPT: Duration = Duration::from_secs(1);
/// Addresses remembered, at most.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(in crate::engine::wasm) struct Carried {
    pub published: Published,
    monitor: Arc<Monitor>,
    /// From where the guest connects, and where it listens.
    local: Ipv4Addr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the guest has bound, by where that really is.
    bound: HashMap<(Protocol, SocketAddr), SocketAddr>,
    /// Where the ports of others really are, and since when that is known.
    found: HashMap<(Protocol, SocketAddr), (SocketAddr, Instant)>,
    /// And back.
    peers: HashMap<(Protocol, SocketAddr), SocketAddr>,
    /// From where datagrams came, by the addresses that the guest saw: it may answer there.
    heard: HashMap<SocketAddr, SocketAddr>,
}

impl Carried {
    pub fn new(now: &Surroundings, published: Published, monitor: Arc<Monitor>) -> Self {
        let v4 =
            now.addresses().find_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None });
        // a host whose loopback has one address only
        let exists = |ip: &Ipv4Addr| UdpSocket::bind((*ip, 0)).is_ok();
        let local = v4.map(loopback::source).filter(exists).unwrap_or(Ipv4Addr::LOCALHOST);
        Self { published, monitor, local, state: Mutex::default() }
    }

    /// Any port of the loopback.
    pub fn free(&self, like: IpAddr) -> SocketAddr {
        match like {
            IpAddr::V4(_) => (self.local, 0).into(),
            IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
        }
    }

    pub fn outside(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Result<SocketAddr, Refusal> {
        let ip = wanted.ip();
        if !ip.is_loopback() && !ip.is_unspecified() && !now.is_own(ip) {
            return Err(super::not_own(now, ip));
        }
        // where it was before: it is free again, or the kernel says that it is not
        let inside = SocketAddr::new(seen(now, ip), wanted.port());
        if let Some(before) = self.bound_as(protocol, inside) {
            return Ok(before);
        }
        if inside.ip().is_loopback() {
            return Ok(self.free(ip));
        }
        let everywhere = SocketAddr::new(super::unspecified(ip), wanted.port());
        match self.published.outside(protocol, everywhere) {
            same if same == everywhere => Ok(self.free(ip)),
            published => Ok(published),
        }
    }

    pub async fn bound(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
        outside: SocketAddr,
    ) {
        let request = self.note_bound(now, protocol, wanted, outside);
        if let Some(request) = request {
            self.monitor.address(&request).await;
        }
    }

    /// As [`Self::bound`], before the guest runs.
    pub fn listens(
        &self,
        now: &Surroundings,
        port: u16,
        outside: SocketAddr,
    ) -> std::io::Result<()> {
        let wanted = SocketAddr::new(super::unspecified(outside.ip()), port);
        let request = self.note_bound(now, Protocol::Tcp, wanted, outside);
        request.map_or(Ok(()), |request| self.monitor.tell(&request))
    }

    fn note_bound(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
        outside: SocketAddr,
    ) -> Option<Request> {
        let port = if wanted.port() == 0 { outside.port() } else { wanted.port() };
        let ip = seen(now, wanted.ip());
        let inside = SocketAddr::new(ip, port);
        lock(&self.state).bound.insert((protocol, outside), inside);
        // published on all addresses of the host, it is on the loopback as well
        let mut reached = outside;
        if outside.ip().is_unspecified() {
            reached.set_ip(localhost(outside.ip()));
        }
        (!ip.is_loopback()).then_some(Request::Publish { protocol, inside, outside: reached })
    }

    pub fn inside(&self, now: &Surroundings, protocol: Protocol, bound: SocketAddr) -> SocketAddr {
        if let Some(inside) = lock(&self.state).bound.get(&(protocol, bound)) {
            return *inside;
        }
        match bound.ip() {
            // the near end of a connection
            ip if ip.is_loopback() => {
                SocketAddr::new(now.of_family(ip).unwrap_or(ip), bound.port())
            }
            _ => self.published.inside(protocol, bound),
        }
    }

    pub fn peer(&self, now: &Surroundings, protocol: Protocol, peer: SocketAddr) -> SocketAddr {
        let mut state = lock(&self.state);
        let known = state.peers.get(&(protocol, peer)).or(state.bound.get(&(protocol, peer)));
        if let Some(inside) = known {
            return *inside;
        }
        let Some(ip) = loopback::of_source(peer.ip(), &now.subnets) else { return peer };
        let inside = SocketAddr::new(ip, peer.port());
        if protocol == Protocol::Udp {
            if state.heard.len() >= REMEMBERED {
                state.heard.clear();
            }
            state.heard.insert(inside, peer);
        }
        inside
    }

    pub async fn target(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Result<SocketAddr, Refusal> {
        let ip = wanted.ip();
        if ip.is_loopback() || now.is_own(ip) {
            return self.own_port(now, protocol, wanted).ok_or(Refusal::Refused);
        }
        if !now.subnets.iter().any(|subnet| subnet.contains(&ip)) {
            return Ok(wanted);
        }
        let place = (protocol, wanted);
        {
            let state = lock(&self.state);
            let heard = state.heard.get(&wanted).filter(|_| protocol == Protocol::Udp);
            let found = state.found.get(&place).filter(|(_, since)| since.elapsed() < KEPT);
            if let Some(outside) = heard.or(found.map(|(outside, _)| outside)) {
                return Ok(*outside);
            }
        }
        let request = Request::Find { protocol, inside: wanted };
        let outside = self.monitor.address(&request).await.ok_or(Refusal::Refused)?;
        let mut state = lock(&self.state);
        if state.found.len() >= REMEMBERED {
            state.found.clear();
            state.peers.clear();
        }
        state.found.insert(place, (outside, Instant::now()));
        state.peers.insert((protocol, outside), wanted);
        Ok(outside)
    }

    /// What the guest itself listens on; on the loopback also what it listens on at its address.
    fn own_port(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Option<SocketAddr> {
        let at = |ip: IpAddr| self.bound_as(protocol, SocketAddr::new(ip, wanted.port()));
        let ip = wanted.ip();
        let mut found = match ip.is_loopback() {
            false => at(ip),
            true => at(localhost(ip)).or_else(|| at(now.of_family(ip)?)),
        }?;
        if found.ip().is_unspecified() {
            found.set_ip(self.free(ip).ip());
        }
        Some(found)
    }

    /// Where that really is what the guest has bound at an address.
    fn bound_as(&self, protocol: Protocol, inside: SocketAddr) -> Option<SocketAddr> {
        let state = lock(&self.state);
        let mut bound = state.bound.iter();
        bound.find(|((p, _), i)| *p == protocol && **i == inside).map(|((_, out), _)| *out)
    }

    pub fn source(&self, target: SocketAddr) -> Option<SocketAddr> {
        match target.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => Some((self.local, 0).into()),
            _ => None,
        }
    }
}

/// The address at which the guest sees a socket that it binds to this one.
fn seen(now: &Surroundings, wanted: IpAddr) -> IpAddr {
    match wanted {
        ip if ip.is_unspecified() => now.of_family(ip).unwrap_or(localhost(ip)),
        ip if ip.is_loopback() => localhost(ip),
        ip => ip,
    }
}

fn localhost(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}
