//! The client's address of a published port: who forwards connects from it, although nobody in the user's networks has it.
//!
//! What the container answers would leave by the uplink. So the packet filter marks what belongs to a socket that was
//! opened so, and what is marked is looked up in a table that says it is for this namespace.

use crate::net::firewall::Firewall;
use crate::net::firewall::expression::{is_for_foreign_socket, mark};
use crate::net::firewall::message::{Batch, Hook};
use crate::net::netlink::{Socket, link, route, rule};
use crate::net::store;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use knarr_core::spec::network::NetworkSpec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

const FILTER: &str = "knarr-clients";
/// Of packets, and the number of the routing table and its rule: nobody else has any in this namespace.
const MARK: u32 = 1000;

/// Brings answers back to whoever connected from a foreign address. In the user's network namespace, once.
pub fn lead_back() -> io::Result<()> {
    const PREROUTING: u32 = 0;
    const BEFORE_ROUTING: i32 = -150;
    let mut socket = Socket::route()?;
    let loopback = link::find(&mut socket, "lo")?.ok_or(io::ErrorKind::NotFound)?;
    let everything: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    for all in everything {
        let is_ipv4 = all.addr().is_ipv4();
        let requests =
            [route::add_own(loopback.index, all, MARK), rule::add_marked(is_ipv4, MARK, MARK)];
        match socket.execute(&requests) {
            // a kernel without IPv6 has no clients with its addresses
            Err(_) if !is_ipv4 => {}
            result => result?,
        }
    }
    let mut batch = Batch::new(FILTER);
    batch.table(true);
    let hook = Hook { kind: "filter", number: PREROUTING, priority: BEFORE_ROUTING };
    batch.chain("answers", Some(hook));
    batch.rule("answers", [is_for_foreign_socket(), mark(MARK)].concat());
    Socket::netfilter()?.transact(&batch.finish())
}

/// From where connections into a container are made.
#[derive(Debug, Default)]
pub struct Sources {
    /// Whether answers to foreign addresses come back: not on the host, nor where the kernel lacks a part of what that takes.
    are_led_back: bool,
    /// What the container reaches without its gateway.
    neighbours: Vec<IpNet>,
}

impl Sources {
    /// For a container on these networks.
    pub fn of<'a>(networks: impl Iterator<Item = &'a NetworkSpec>) -> Self {
        Self { are_led_back: false, neighbours: networks.flat_map(store::subnets).collect() }
    }

    /// Once it is asked whether this namespace leads answers back.
    pub fn asked(self) -> Self {
        let found = Firewall::open(FILTER.to_owned()).and_then(|mut filter| filter.exists());
        Self { are_led_back: found.unwrap_or(false), ..self }
    }

    /// The client's address, unless answers to it would go astray. Those of the host's own loopback cannot leave it; such
    /// clients are seen at the gateway, as the superuser's containers see them.
    fn address_of(&self, client: IpAddr, to: IpAddr) -> Option<IpAddr> {
        let stays = match client {
            IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
        };
        let is_near = self.neighbours.iter().any(|subnet| subnet.contains(&client));
        let can_be = self.are_led_back && client.is_ipv4() == to.is_ipv4() && !stays && !is_near;
        can_be.then_some(client)
    }

    /// A socket to connect for a client.
    pub fn open(&self, kind: SocketType, client: IpAddr, to: IpAddr) -> io::Result<OwnedFd> {
        match self.address_of(client, to).map(|address| open(kind, to, Some(address))) {
            Some(Ok(socket)) => Ok(socket),
            _ => open(kind, to, None),
        }
    }
}

fn open(kind: SocketType, to: IpAddr, from: Option<IpAddr>) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    if let Some(from) = from {
        let (level, option) = match from {
            IpAddr::V4(_) => (libc::SOL_IP, libc::IP_TRANSPARENT),
            IpAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_TRANSPARENT),
        };
        let on = 1i32;
        // SAFETY: the option takes one integer, which is read.
        let set = unsafe {
            libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), 4)
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        bind(&socket, &SocketAddr::new(from, 0))?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_answers_would_not_find_is_not_kept() {
        let neighbours = vec!["172.17.0.0/20".parse().unwrap()];
        let sources = Sources { are_led_back: true, neighbours };
        let kept = |client: &str, to: &str| {
            sources.address_of(client.parse().unwrap(), to.parse().unwrap()).is_some()
        };
        assert!(kept("192.0.2.7", "172.17.0.2"));
        assert!(kept("2001:db8::7", "fd00::2"));
        for client in ["127.0.0.1", "169.254.1.1", "172.17.0.9", "::1", "2001:db8::7"] {
            assert!(!kept(client, "172.17.0.2"), "{client}");
        }
        assert!(!kept("::1", "fd00::2"));
        assert!(!kept("fe80::1", "fd00::2"));
    }
}
