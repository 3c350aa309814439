//! Where a server listens: the published ports on the host, or the exposed one where nothing is published.

use super::super::error::Error;
use super::super::host::sockets::{Place, Where, first_free};
use knarr_core::spec::{ContainerSpec, NetworkMode, Port, Protocol};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Where servers listen whose image exposes nothing (as runwasi has it).
const DEFAULT_PORT: u16 = 8080;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Bound and listening.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Listeners {
    /// With the container's port.
    pub sockets: Vec<(u16, TcpListener)>,
    /// Container port and where it is reached.
    pub ports: Vec<(u16, SocketAddr)>,
    /// The ports for which there is to be a listener at each address that the container gets.
    pub everywhere: Vec<u16>,
}

impl Listeners {
    /// For a server of HTTP: on the published ports, or on the exposed one.
    pub fn of_server(spec: &ContainerSpec, place: &Place) -> Result<Self, Error> {
        let own = exposed(spec).next().unwrap_or(DEFAULT_PORT);
        let published = published(spec).next().is_some();
        // on the host's network a port that is published elsewhere is not also taken as it is
        let on_host = matches!(place.at, Where::Alone(_)) && spec.network == NetworkMode::Host;
        let own = if published && on_host { Vec::new() } else { vec![own] };
        Self::open(spec, place, own)
    }

    /// For a program that only accepts: on all ports that are exposed or published.
    pub fn of_program(spec: &ContainerSpec, place: &Place) -> Result<Self, Error> {
        Self::open(spec, place, exposed(spec).collect())
    }

    /// Listens where the container is reached; before the process gives up the right to use low ports.
    fn open(spec: &ContainerSpec, place: &Place, own: Vec<u16>) -> Result<Self, Error> {
        let mut listeners = Self::default();
        if spec.network == NetworkMode::None {
            return Ok(listeners); // nobody could reach it
        }
        let mut ports = own;
        for port in published(spec) {
            if !ports.contains(&port.container_port) {
                ports.push(port.container_port);
            }
        }
        // on a bridge the firewall leads the host's ports here
        let on_host = match &place.at {
            Where::Alone(_) => spec.network == NetworkMode::Host,
            Where::Shared(_) => false,
            Where::Carried(_) => true,
        };
        let now = place.current.get();
        for port in ports {
            let mut bound = Vec::new();
            for published in published(spec).filter(|p| on_host && p.container_port == port) {
                bound.push(listeners.publish(published)?);
                if let Some(address) = bound.last() {
                    listeners.ports.push((port, *address));
                }
            }
            match &place.at {
                Where::Alone(_) if bound.is_empty() => {
                    let address = listeners.add(None, port, port)?;
                    if on_host {
                        listeners.ports.push((port, address));
                    }
                }
                Where::Alone(_) => {}
                Where::Shared(shared) => {
                    for address in now.addresses() {
                        let at = listeners.add(Some(address), port, port)?;
                        shared.listens_everywhere(Protocol::Tcp, at);
                    }
                    // for further guests of the container
                    if let Some(loopback) = shared.private(Ipv4Addr::LOCALHOST.into()) {
                        listeners.add(Some(loopback), port, port)?;
                    }
                    listeners.everywhere.push(port);
                }
                Where::Carried(carried) => {
                    if bound.is_empty() {
                        let free = carried.free(Ipv4Addr::UNSPECIFIED.into());
                        bound.push(listeners.add(Some(free.ip()), 0, port)?);
                    }
                    for address in bound {
                        let told = carried.listens(&now, port, address);
                        told.map_err(|e| Error::system("tell of a port", e))?;
                    }
                }
            }
        }
        Ok(listeners)
    }

    /// Listens on one more address, and returns it.
    fn add(&mut self, ip: Option<IpAddr>, host: u16, container: u16) -> Result<SocketAddr, Error> {
        let host_port = (host > 0).then_some(host);
        let protocol = Protocol::Tcp;
        let port =
            Port { host_ip: ip, host_port, host_last: None, container_port: container, protocol };
        self.publish(&port)
    }

    /// Listens on one of the host's ports that this one may have.
    fn publish(&mut self, port: &Port) -> Result<SocketAddr, Error> {
        let (ip, container) = (port.host_ip, port.container_port);
        let socket = first_free(port, |host| bind(ip, host)).map_err(|e| {
            let ip = ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let address = SocketAddr::new(ip, port.host_port.unwrap_or(0));
            Error::Listen { address: address.to_string(), source: e.into() }
        })?;
        let mut address = socket.local_addr().map_err(|e| Error::system("examine a socket", e))?;
        if ip.is_none() {
            address.set_ip(Ipv4Addr::UNSPECIFIED.into());
        }
        self.sockets.push((container, socket));
        Ok(address)
    }
}

/// Listens on all these ports at all these addresses, of the network namespace that the calling thread is in.
pub(crate) fn listen(addresses: &[IpAddr], ports: &[u16]) -> io::Result<Vec<(u16, TcpListener)>> {
    let all = addresses.iter().flat_map(|ip| ports.iter().map(|port| (*ip, *port)));
    all.map(|(ip, port)| Ok((port, bind(Some(ip), port)?))).collect()
}

fn exposed(spec: &ContainerSpec) -> impl Iterator<Item = u16> {
    let tcp = spec.exposed.iter().filter(|(_, protocol)| *protocol == Protocol::Tcp);
    tcp.map(|(port, _)| *port)
}

fn published(spec: &ContainerSpec) -> impl Iterator<Item = &Port> {
    spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp)
}

/// Without an address: all of them, of both families where the host has both.
fn bind(ip: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match ip {
        Some(ip) => socket(SocketAddr::new(ip, port), false),
        None => match socket((Ipv6Addr::UNSPECIFIED, port).into(), true) {
            Err(e) if e.raw_os_error() == Some(libc::EADDRINUSE) => Err(e),
            Err(_) => socket((Ipv4Addr::UNSPECIFIED, port).into(), false),
            listening => listening,
        },
    }
}

fn socket(address: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !both_families)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
