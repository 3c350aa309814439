//! `--allow-outbound` of a native container: a packet filter in the container's own namespace, which a guest without
//! `NET_ADMIN` cannot touch. So it holds for neighbours on the same bridge as well, and for one container only.
//!
//! It sees what programs send by sockets of IPv4 and IPv6. The engine sees to it that there is nothing else: no process of
//! such a container, one of `exec --privileged` included, has `NET_RAW` (packets past the filter), `NET_ADMIN` (its rules) or
//! what leads to these, nor sockets of other families (`is_limited`).
//!
//! What enforces the list is this filter; [`Gate`] gives refusals of TCP an errno that says more.
//!
//! Names are allowed with the addresses that the container's name server finds them to have.

mod gate;

pub use gate::Gate;

use super::firewall::expression::{
    Family, Field, Tracked, accept, by_loopback, is_family, is_for_link, is_for_port, is_in,
    is_of_neighbours, is_tracked, is_within, log, reject,
};
use super::firewall::message::{Batch, Element, Hook, Set};
use super::firewall::ruleset::kind;
use super::names::{Allowed, Learnt};
use super::namespace;
use super::netlink::Socket;
use crate::state;
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

const TABLE: &str = "knarr";
/// Of this namespace, where nobody else listens.
const LOG_GROUP: u16 = 1;

const fn set(name: &'static str, key: (u32, u32)) -> Set {
    Set { name, key, data: None, interval: false, host_order: false }
}

const HOSTS4: Set = set("hosts4", (kind::IPV4, 4));
const HOSTS6: Set = set("hosts6", (kind::IPV6, 16));
const PORTS4: Set = set("ports4", (kind::all([kind::IPV4, kind::PORT]), 8));
const PORTS6: Set = set("ports6", (kind::all([kind::IPV6, kind::PORT]), 20));

/// Whether `--allow-outbound` limits where a container may connect to: its own, or that of the container whose network it
/// shares.
pub fn is_limited(root: &Root, spec: &ContainerSpec) -> bool {
    match &spec.network {
        _ if spec.outbound.is_some() => true,
        // one of whom nothing is known is not there to be joined
        NetworkMode::Container(other) => state::load_spec(root, other)
            .is_ok_and(|other| other.id != spec.id && is_limited(root, &other)),
        _ => false,
    }
}

/// Shuts the way out of a namespace but for what the list allows. Whoever learns addresses of names tells what is returned.
pub fn confine(
    namespace: BorrowedFd<'_>,
    allowed: Allowed,
    gate: Option<Rc<Gate>>,
) -> io::Result<Learnt> {
    let mut socket = namespace::within(namespace, Socket::netfilter)?;
    let mut batch = Batch::new(TABLE);
    batch.table(true);
    build(&mut batch, &allowed);
    socket.transact(&batch.finish())?;
    Ok(Box::new(move |name, addresses| {
        // an address that could not be added is not reached, which the guest sees
        let ports = allowed.ports_of_name(name);
        let _ = learn(&mut socket, &ports, addresses);
        if let Some(gate) = &gate {
            gate.learn(&ports, addresses);
        }
    }))
}

fn build(batch: &mut Batch, allowed: &Allowed) {
    const OUTPUT: u32 = 3;
    let chain = "output";
    for set in [HOSTS4, HOSTS6, PORTS4, PORTS6] {
        batch.set(&set);
    }
    batch.chain(chain, Some(Hook { kind: "filter", number: OUTPUT, priority: 0 }));
    let mut rule = |parts: Vec<Vec<_>>| batch.rule(chain, parts.concat());
    rule(vec![by_loopback(true), accept()]);
    rule(vec![is_tracked(Tracked::Known), accept()]);
    rule(vec![is_of_neighbours(), accept()]);
    rule(vec![is_for_link(), accept()]);
    for (family, hosts, ports) in [(Family::V4, HOSTS4, PORTS4), (Family::V6, HOSTS6, PORTS6)] {
        let to = Field::Destination(family);
        rule(vec![is_family(family), is_in(&[to], hosts.name), accept()]);
        let to_port = is_in(&[to, Field::DestinationPort], ports.name);
        rule(vec![is_family(family), to_port, accept()]);
    }
    for (subnet, port) in allowed.subnets() {
        let family = match subnet {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        };
        let within = is_within(Field::Destination(family), *subnet);
        let port = port.map(is_for_port).unwrap_or_default();
        rule(vec![is_family(family), within, port, accept()]);
    }
    rule(vec![log(LOG_GROUP), reject()]);
}

fn learn(socket: &mut Socket, ports: &[Option<u16>], addresses: &[IpAddr]) -> io::Result<()> {
    let mut batch = Batch::new(TABLE);
    for address in addresses {
        let (hosts, with_port, octets) = match address {
            IpAddr::V4(address) => (HOSTS4, PORTS4, address.octets().to_vec()),
            IpAddr::V6(address) => (HOSTS6, PORTS6, address.octets().to_vec()),
        };
        for port in ports {
            let (set, key) = match port {
                None => (hosts, octets.clone()),
                Some(port) => {
                    (with_port, [octets.as_slice(), &port.to_be_bytes(), &[0; 2]].concat())
                }
            };
            batch.elements(set.name, &[Element { key, data: None, is_end: false }]);
        }
    }
    if batch.is_empty() { Ok(()) } else { socket.transact(&batch.finish()) }
}

/// Different refusals that are told: a guest that goes through all addresses must not fill the log.
const TOLD: usize = 1000;

/// What one container was refused, by its filter or before.
#[derive(Debug)]
pub struct Denials {
    socket: Socket,
    gate: Option<Rc<Gate>>,
    told: HashSet<String>,
}

impl Denials {
    pub fn open(namespace: BorrowedFd<'_>, gate: Option<Rc<Gate>>) -> io::Result<Self> {
        let mut socket = namespace::within(namespace, Socket::netfilter)?;
        socket.execute(&super::firewall::message::listen(LOG_GROUP))?;
        socket.never_wait()?;
        Ok(Self { socket, gate, told: HashSet::new() })
    }

    /// A line for each destination that was refused for the first time.
    pub fn lines(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        // one that is lost in a flood is refused all the same
        while let Ok(messages) = self.socket.arrived() {
            all.extend(messages.iter().filter_map(|message| refused(message)));
        }
        if let Some(gate) = &self.gate {
            gate.drain(|address| all.push(format!("tcp to {address}")));
        }
        all.retain(|what| self.told.len() < TOLD && self.told.insert(what.clone()));
        let line = |what| format!("knarr: {what}: access denied by the container's network\n");
        all.iter().map(line).collect()
    }

    /// What tells that there are some.
    pub fn wanted(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.socket.as_fd()].into_iter().chain(self.gate.iter().map(|gate| gate.as_fd()))
    }
}

/// `tcp to 192.0.2.1:80` of a logged packet (linux/netfilter/nfnetlink_log.h).
fn refused(message: &[u8]) -> Option<String> {
    const PAYLOAD: u16 = 9;
    let mut attributes = message.get(4..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        if kind & 0x3fff == PAYLOAD {
            return destination(attributes.get(4..length)?);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// Of an IPv4 or IPv6 packet.
fn destination(packet: &[u8]) -> Option<String> {
    let (protocol, address, rest): (u8, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet.first()? & 15) * 4;
            let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (*packet.get(9)?, address.into(), packet.get(header..)?)
        }
        6 => {
            let address: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (*packet.get(6)?, address.into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let port = || Some(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
    match protocol {
        6 => Some(format!("tcp to {}", SocketAddr::new(address, port()?))),
        17 => Some(format!("udp to {}", SocketAddr::new(address, port()?))),
        number => Some(format!("protocol {number} to {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_packets_are_named() {
        // ip, tcp: 10.0.0.2:4660 > 192.0.2.1:443
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 192, 0, 2, 1];
        packet.extend([0x12, 0x34, 1, 0xbb]);
        let mut message = vec![2, 0, 0, 1, 8, 0, 7, 0, 0, 0, 0, 0, 28, 0, 9, 0];
        message.extend(&packet);
        assert_eq!(refused(&message).unwrap(), "tcp to 192.0.2.1:443");
        assert_eq!(refused(&message[..20]), None);
        packet[9] = 1;
        assert_eq!(destination(&packet).unwrap(), "protocol 1 to 192.0.2.1");
    }
}
