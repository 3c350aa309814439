//! Reserving published ports on the host.
//!
//! The packet filter takes packets for a published port away before any program of the host sees them, so a program that
//! has the port already would lose them without a word, and two containers would share it by accident. A socket that is
//! bound, and never listens, gives the port an owner. Where the packet filter leads nowhere, the socket does listen
//! ([`super::forward`]).

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::{bridge, endpoint, store};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{Port, Protocol};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt,
};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

/// A port of the host that is ours, on one address.
#[derive(Debug)]
pub struct Held {
    /// With its address and its number.
    pub port: Port,
    /// `None`: nobody can have the port, for want of the protocol.
    pub socket: Option<OwnedFd>,
    /// Clients come to this socket; otherwise the packet filter leads them past it.
    pub listens: bool,
}

/// How often to look for a port that is free in both families.
const ATTEMPTS: usize = 50;
/// Connections that the kernel may hold ready.
const BACKLOG: i32 = 1024;

/// Reserves every port, or none.
pub fn reserve(
    root: &Root,
    network: &NetworkSpec,
    endpoint: &Endpoint,
    wishes: &[Port],
) -> Result<Vec<Held>> {
    let on = network.options.get(bridge::PUBLISH_ON).and_then(|address| address.parse().ok());
    let mut reserved = Vec::new();
    for wish in wishes {
        let mut port = wish.clone();
        port.host_ip = port.host_ip.or(on);
        // what comes from ::1 is not routed
        let listens = |ip: IpAddr| ip.is_ipv6() || endpoint.ipv4.is_none();
        reserved.extend(claim(root, &port, listens)?);
    }
    Ok(reserved)
}

/// Binds a port, on all addresses of both families unless it says on which; `listens` tells for which addresses clients come
/// to the socket.
pub(super) fn claim(
    root: &Root,
    port: &Port,
    listens: impl Fn(IpAddr) -> bool,
) -> Result<Vec<Held>> {
    let mut addresses: Vec<IpAddr> = port.host_ip.into_iter().collect();
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::UNSPECIFIED.into());
        addresses.extend(has_ipv6().then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    }
    // one that is free in one family only is not the one
    let attempts = if port.host_port.is_none() { ATTEMPTS } else { 1 };
    let mut taken = port.clone();
    for number in std::iter::repeat_n(port.host_ports(), attempts).flatten() {
        let mut wish = port.with_host_port(number);
        let mut held = Vec::new();
        let result = addresses.iter().try_for_each(|address| {
            wish.host_ip = Some(*address);
            held.push(hold(&mut wish, listens(*address))?);
            Ok(())
        });
        match result {
            Ok(()) => return Ok(held),
            Err(Errno::ADDRINUSE) => taken = wish,
            Err(errno) => return Err(refused(root, &wish, errno.into())),
        }
    }
    match port.host_last {
        Some(_) => {
            let ports = format!("{}/{}", port.host_text(), port.protocol);
            Err(Error::RangeTaken { ports })
        }
        None => Err(refused(root, &taken, Errno::ADDRINUSE.into())),
    }
}

/// Whether anybody has an IPv6 address here; `net.ipv6.conf.all.disable_ipv6` takes them all away.
fn has_ipv6() -> bool {
    fsx::read_to_string(Path::new("/proc/net/if_inet6")).is_ok_and(|text| !text.is_empty())
}

/// Binds a port on its address; one without a number gets a free one.
fn hold(port: &mut Port, listens: bool) -> Result<Held, Errno> {
    let ip = port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let address = SocketAddr::new(ip, port.host_port.unwrap_or(0));
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match port.protocol {
        Protocol::Tcp => (SocketType::STREAM, rustix::net::ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, rustix::net::ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, rustix::net::ipproto::SCTP),
    };
    let listens = listens && port.protocol != Protocol::Sctp;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(family, kind, flags, Some(number)) {
        Ok(socket) => socket,
        // a kernel without SCTP has no programs that could be in the way
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if address.port() != 0 => {
            return Ok(Held { port: port.clone(), socket: None, listens: false });
        }
        Err(e) => return Err(e),
    };
    if ip.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    let accepts = listens && port.protocol == Protocol::Tcp;
    if accepts {
        // connections of an earlier life that the kernel still remembers are not in the way
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if accepts {
        listen(&socket, BACKLOG)?;
    }
    if address.port() == 0 {
        port.host_port = Some(SocketAddr::try_from(getsockname(&socket)?)?.port());
    }
    Ok(Held { port: port.clone(), socket: Some(socket), listens })
}

fn refused(root: &Root, port: &Port, source: io::Error) -> Error {
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
