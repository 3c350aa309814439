//! Reserving published ports on the host.
//!
//! The packet filter takes packets for a published port away before any program of the host sees them, so a program that
//! has the port already would lose them without a word, and two containers would share it by accident. A socket that is
//! bound, and never listens, gives the port an owner.

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::{bridge, endpoint, store};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{Port, Protocol};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Ports of the host that are ours.
#[derive(Debug, Default)]
pub struct Reserved {
    /// With their host ports, and the addresses on which the network publishes.
    pub ports: Vec<Port>,
    pub sockets: Vec<OwnedFd>,
}

/// How often to look for a port that is free in both families.
const ATTEMPTS: usize = 50;

/// Reserves every port, or none.
pub fn reserve(
    root: &Root,
    network: &NetworkSpec,
    endpoint: &Endpoint,
    wishes: &[Port],
) -> Result<Reserved> {
    let on = network.options.get(bridge::PUBLISH_ON).and_then(|address| address.parse().ok());
    let mut reserved = Reserved::default();
    for wish in wishes {
        let mut port = wish.clone();
        port.host_ip = port.host_ip.or(on);
        let families = (endpoint.ipv4.is_some(), endpoint.ipv6.is_some());
        let (number, sockets) =
            claim(&port, families).map_err(|source| refused(root, &port, source))?;
        port.host_port = Some(number);
        reserved.ports.push(port);
        reserved.sockets.extend(sockets);
    }
    Ok(reserved)
}

/// Binds a port, on all addresses of these families (IPv4, IPv6) unless it says on which.
pub(super) fn claim(port: &Port, families: (bool, bool)) -> io::Result<(u16, Vec<OwnedFd>)> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    match port.host_ip.filter(|ip| !ip.is_unspecified()) {
        Some(address) => addresses.push(address),
        None => {
            addresses.extend(families.0.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
            addresses.extend(families.1.then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        }
    }
    for attempt in 0.. {
        let mut number = port.host_port.unwrap_or(0);
        let mut sockets = Vec::new();
        let mut result = Ok(());
        for address in &addresses {
            match bound(SocketAddr::new(*address, number), port.protocol) {
                Ok((socket, chosen)) => {
                    number = chosen;
                    sockets.extend(socket);
                }
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        match result {
            Ok(()) => return Ok((number, sockets)),
            // free in one family only: another one
            Err(Errno::ADDRINUSE) if port.host_port.is_none() && attempt < ATTEMPTS => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Errno::ADDRINUSE.into())
}

/// A socket bound to a port, 0 for a free one, and the port. A kernel without SCTP has no programs that could be in the way.
fn bound(address: SocketAddr, protocol: Protocol) -> Result<(Option<OwnedFd>, u16), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, rustix::net::ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, rustix::net::ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, rustix::net::ipproto::SCTP),
    };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC, Some(number)) {
        Ok(socket) => socket,
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if address.port() != 0 => {
            return Ok((None, address.port()));
        }
        Err(e) => return Err(e),
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    let chosen = SocketAddr::try_from(getsockname(&socket)?).map_or(address.port(), |a| a.port());
    Ok((Some(socket), chosen))
}

pub(super) fn refused(root: &Root, port: &Port, source: io::Error) -> Error {
    let address = port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let number = port.host_port.unwrap_or(0);
    let shown = format!("{}/{}", SocketAddr::new(address, number), port.protocol);
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            let owner = container_with(root, port).or_else(|| process_with(port));
            Error::PortTaken { port: shown, owner: owner.unwrap_or("another program".into()) }
        }
        _ => Error::Port { port: shown, source },
    }
}

/// The container that has published the same port.
fn container_with(root: &Root, port: &Port) -> Option<String> {
    for network in store::list(root).ok()? {
        for endpoint in endpoint::endpoints(root, &network.name).ok()? {
            let same = |p: &Port| p.host_port == port.host_port && p.protocol == port.protocol;
            if endpoint.ports.iter().any(same) {
                return Some(format!("container {}", endpoint.name));
            }
        }
    }
    None
}

/// The process that has the port, as far as this user may know.
fn process_with(port: &Port) -> Option<String> {
    let number = port.host_port?;
    let sockets = sockets_on(number, port.protocol);
    for pid in fsx::list(Path::new("/proc")).ok()?.iter().filter(|n| n.parse::<u32>().is_ok()) {
        let folder = Path::new("/proc").join(pid).join("fd");
        for fd in fsx::list(&folder).unwrap_or_default() {
            let Ok(link) = rustix::fs::readlink(folder.join(fd), Vec::new()) else { continue };
            let link = link.to_string_lossy();
            let inode = link.strip_prefix("socket:[").and_then(|l| l.strip_suffix(']'));
            if inode.is_some_and(|inode| sockets.contains(inode)) {
                let name = fsx::read_to_string(&Path::new("/proc").join(pid).join("comm"));
                return Some(format!("{} (process {pid})", name.unwrap_or_default().trim()));
            }
        }
    }
    None
}

/// The inodes of the sockets that are bound to a port (proc(5), `/proc/net/tcp`).
fn sockets_on(number: u16, protocol: Protocol) -> BTreeSet<String> {
    let mut inodes = BTreeSet::new();
    for family in ["", "6"] {
        let path = format!("/proc/net/{protocol}{family}");
        let text = fsx::read_to_string(Path::new(&path)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = words.get(1).and_then(|w| w.rsplit_once(':'));
            let same = local.and_then(|(_, p)| u16::from_str_radix(p, 16).ok()) == Some(number);
            // one that is connected only says that a program has listened there
            let listens = protocol != Protocol::Tcp || words.get(3) == Some(&"0A");
            if same && listens {
                inodes.extend(words.get(9).map(|inode| (*inode).to_owned()));
            }
        }
    }
    inodes
}
