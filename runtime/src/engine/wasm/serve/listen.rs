//! Where a server listens: the published ports on the host, or the exposed one where nothing is published.

use super::super::error::Error;
use super::super::host::sockets::{Place, Where};
use knarr_core::spec::{ContainerSpec, NetworkMode, Port, Protocol};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Instances that may exist at once, in all threads.
pub(in crate::engine::wasm) const INSTANCES: u32 = 128;

/// Where servers listen whose image exposes nothing (as runwasi has it).
const DEFAULT_PORT: u16 = 8080;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Bound and listening.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Listeners {
    sockets: Vec<TcpListener>,
    /// Container port and where it is reached.
    pub ports: Vec<(u16, SocketAddr)>,
}

impl Listeners {
    /// Listens where the container is reached; before the process gives up the right to use low ports.
    pub fn open(spec: &ContainerSpec, place: &Place) -> Result<Self, Error> {
        let mut listeners = Self::default();
        if spec.network == NetworkMode::None {
            return Ok(listeners); // nobody could reach it
        }
        let exposed = spec.exposed.iter().find(|(_, protocol)| *protocol == Protocol::Tcp);
        let own = exposed.map_or(DEFAULT_PORT, |(port, _)| *port);
        let published: Vec<&Port> =
            spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp).collect();
        match &place.at {
            Where::Alone(_) if spec.network != NetworkMode::Host => {
                for port in ports(own, &published) {
                    listeners.add(None, port, port)?;
                }
            }
            Where::Alone(_) => {
                for port in &published {
                    let host = port.host_port.unwrap_or(0);
                    listeners.add(port.host_ip, host, port.container_port)?;
                }
                if published.is_empty() {
                    listeners.add(None, own, own)?;
                }
            }
            Where::Shared(shared) => {
                for port in ports(own, &published) {
                    for address in shared.addresses() {
                        listeners.add(Some(address), port, port)?;
                    }
                    shared.listens_everywhere(Protocol::Tcp, port);
                }
                // the host's ports lead here: that is not ours to tell
                listeners.ports.clear();
            }
            Where::Carried(carried) => {
                let tell = |port, outside| {
                    carried.listens(port, outside).map_err(|e| Error::system("tell of a port", e))
                };
                for port in &published {
                    let host = port.host_port.unwrap_or(0);
                    tell(
                        port.container_port,
                        listeners.add(port.host_ip, host, port.container_port)?,
                    )?;
                }
                if published.iter().all(|port| port.container_port != own) {
                    let free = carried.free(Ipv4Addr::UNSPECIFIED.into());
                    tell(own, listeners.add(Some(free.ip()), 0, own)?)?;
                    // published is what the user asked for
                    listeners.ports.pop();
                }
            }
        }
        Ok(listeners)
    }

    /// Listens on one more address, and returns it.
    fn add(&mut self, ip: Option<IpAddr>, host: u16, container: u16) -> Result<SocketAddr, Error> {
        let socket = bind(ip, host).map_err(|e| {
            let ip = ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            Error::Listen { address: SocketAddr::new(ip, host).to_string(), source: e.into() }
        })?;
        let mut address = socket.local_addr().map_err(|e| Error::system("examine a socket", e))?;
        if ip.is_none() {
            address.set_ip(Ipv4Addr::UNSPECIFIED.into());
        }
        self.ports.push((container, address));
        self.sockets.push(socket);
        Ok(address)
    }

    /// For the event loop of the calling thread.
    pub fn into_async(self) -> io::Result<Vec<tokio::net::TcpListener>> {
        self.sockets
            .into_iter()
            .map(|socket| {
                socket.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(socket)
            })
            .collect()
    }
}

/// The container's ports to listen on: its own, and those that others are led to.
fn ports(own: u16, published: &[&Port]) -> Vec<u16> {
    let mut ports = vec![own];
    ports.extend(published.iter().map(|port| port.container_port));
    ports.sort_unstable();
    ports.dedup();
    ports
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
