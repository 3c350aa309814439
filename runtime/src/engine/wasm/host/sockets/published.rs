//! Published ports on the host's network: a guest that binds a container's port gets the host's.

use crate::engine::wasm::error::Error;
use knarr_core::spec::{self, ContainerSpec, Protocol};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// One published port.
#[derive(Debug)]
struct Port {
    protocol: Protocol,
    container: u16,
    host: SocketAddr,
    /// Holds the port until the guest takes it.
    reserved: Mutex<Option<OwnedFd>>,
}

/// The published ports of a container.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Published(Vec<Port>);

impl Published {
    /// Takes the ports, and chooses those that were left to us: one that cannot be had is told at the start.
    pub fn reserve(spec: &ContainerSpec) -> Result<Self, Error> {
        let ports = spec.ports.iter().map(|port| {
            let ip = port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let wanted = SocketAddr::new(ip, port.host_port.unwrap_or(0));
            let failed =
                |e: io::Error| Error::Listen { address: wanted.to_string(), source: e.into() };
            let bind = |number| reserve(SocketAddr::new(ip, number), port.protocol);
            let (host, reserved) = first_free(port, bind).map_err(failed)?;
            let reserved = Mutex::new(reserved);
            Ok(Port { protocol: port.protocol, container: port.container_port, host, reserved })
        });
        Ok(Self(ports.collect::<Result<_, Error>>()?))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Container port and where it is reached.
    pub fn reached(&self) -> Vec<(u16, SocketAddr)> {
        self.0.iter().map(|port| (port.container, port.host)).collect()
    }

    /// Where to bind instead.
    pub fn outside(&self, protocol: Protocol, wanted: SocketAddr) -> SocketAddr {
        let Some(port) =
            self.0.iter().find(|p| p.protocol == protocol && p.container == wanted.port())
        else {
            return wanted;
        };
        port.reserved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ip = match (wanted.ip(), port.host.ip()) {
            // what listens on every address of the container is reached where it is published
            (inside, published) if inside.is_unspecified() && !published.is_unspecified() => {
                published
            }
            (inside, _) => inside,
        };
        SocketAddr::new(ip, port.host.port())
    }

    /// What the guest is to see of an address it has bound.
    pub fn inside(&self, protocol: Protocol, bound: SocketAddr) -> SocketAddr {
        let published = |p: &&Port| p.protocol == protocol && p.host.port() == bound.port();
        match self.0.iter().find(published) {
            Some(port) => SocketAddr::new(bound.ip(), port.container),
            None => bound,
        }
    }
}

/// The first of the host's ports that a port may have which can be bound.
pub(in crate::engine::wasm) fn first_free<T>(
    port: &spec::Port,
    bind: impl FnMut(u16) -> io::Result<T>,
) -> io::Result<T> {
    // with its number, by which the hint is found
    let taken = || io::Error::from_raw_os_error(libc::EADDRINUSE);
    let mut bound = port.host_ports().map(bind);
    let is_taken = |e: &io::Error| e.kind() == io::ErrorKind::AddrInUse;
    let found = bound.find(|bound| !bound.as_ref().is_err_and(is_taken));
    found.unwrap_or_else(|| Err(taken()))
}

fn reserve(wanted: SocketAddr, protocol: Protocol) -> io::Result<(SocketAddr, Option<OwnedFd>)> {
    let family = match wanted.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match protocol {
        Protocol::Udp => SocketType::DGRAM,
        _ => SocketType::STREAM,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &wanted)?;
    let bound = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((bound, Some(socket)))
}
