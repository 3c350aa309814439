//! Where a server listens: the published ports on the host, or the exposed one where nothing is published.

use super::super::error::Error;
use knarr_core::spec::{ContainerSpec, NetworkMode, Protocol};
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
    /// Listens as the container's ports are published; before the process gives up the right to use low ports.
    pub fn open(spec: &ContainerSpec) -> Result<Self, Error> {
        let mut listeners = Self::default();
        if spec.network == NetworkMode::None {
            return Ok(listeners); // nobody could reach it
        }
        let exposed = spec.exposed.iter().find(|(_, protocol)| *protocol == Protocol::Tcp);
        let published = spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let mut wanted: Vec<(Option<IpAddr>, u16, u16)> = published
            .map(|port| (port.host_ip, port.host_port.unwrap_or(0), port.container_port))
            .collect();
        if wanted.is_empty() {
            let port = exposed.map_or(DEFAULT_PORT, |(port, _)| *port);
            wanted.push((None, port, port));
        }
        for (ip, host, container) in wanted {
            let socket = bind(ip, host).map_err(|e| {
                let ip = ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
                Error::Listen { address: SocketAddr::new(ip, host).to_string(), source: e.into() }
            })?;
            let mut address =
                socket.local_addr().map_err(|e| Error::system("examine a socket", e))?;
            if ip.is_none() {
                address.set_ip(Ipv4Addr::UNSPECIFIED.into());
            }
            listeners.ports.push((container, address));
            listeners.sockets.push(socket);
        }
        Ok(listeners)
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
