//! Published ports of guests that listen themselves: a guest that binds a container port gets the host's.
//!
//! Only two functions of each kind of socket are replaced, inside wasmtime-wasi's own interfaces: binding, and asking
//! for the local address, which shows the guest its own view again.

use super::super::error::Error;
use super::Host;
use knarr_core::spec::{ContainerSpec, NetworkMode, Protocol};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{HostTcpSocket, TcpSocket};
use wasmtime_wasi::p2::bindings::sockets::udp::{HostUdpSocket, UdpSocket};
use wasmtime_wasi::p3::bindings::sockets::types as p3;
use wasmtime_wasi::sockets::WasiSocketsView;

/// The interfaces by the versions under which wasmtime-wasi 48 offers them; other versions of the same generation
/// are served by these.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const UDP: &str = "wasi:sockets/udp@0.2.12";
const TYPES3: &str = "wasi:sockets/types@0.3.0";

/// One published port.
#[derive(Debug)]
struct Published {
    protocol: Protocol,
    container: u16,
    host: SocketAddr,
    /// Holds a free port that was chosen, until the guest takes it.
    reserved: Mutex<Option<OwnedFd>>,
}

/// The published ports of a container.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Ports(Vec<Published>);

impl Ports {
    /// Chooses the ports that were left to us.
    pub fn reserve(spec: &ContainerSpec) -> Result<Arc<Self>, Error> {
        if spec.network == NetworkMode::None {
            return Ok(Arc::default());
        }
        let ports = spec.ports.iter().map(|port| {
            let ip = port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let wanted = SocketAddr::new(ip, port.host_port.unwrap_or(0));
            let failed =
                |e: io::Error| Error::Listen { address: wanted.to_string(), source: e.into() };
            let (host, reserved) = match port.host_port {
                Some(_) => (wanted, None),
                None => reserve(wanted, port.protocol).map_err(failed)?,
            };
            let reserved = Mutex::new(reserved);
            Ok(Published {
                protocol: port.protocol,
                container: port.container_port,
                host,
                reserved,
            })
        });
        Ok(Arc::new(Self(ports.collect::<Result<_, Error>>()?)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Container port and where it is reached.
    pub fn reached(&self) -> Vec<(u16, SocketAddr)> {
        self.0.iter().map(|port| (port.container, port.host)).collect()
    }

    /// Where to bind instead.
    fn outside(&self, protocol: Protocol, wanted: SocketAddr) -> SocketAddr {
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
    fn inside(&self, protocol: Protocol, bound: SocketAddr) -> SocketAddr {
        let published = |p: &&Published| p.protocol == protocol && p.host.port() == bound.port();
        match self.0.iter().find(published) {
            Some(port) => SocketAddr::new(bound.ip(), port.container),
            None => bound,
        }
    }
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

type Outcome<T, E> = wasmtime::Result<(Result<T, E>,)>;
type Store<'a> = StoreContextMut<'a, Host>;

/// A function's result as the component sees it: an error of its own, or a trap.
macro_rules! outcome {
    ($result:expr) => {
        match $result {
            Ok(value) => Ok((Ok(value),)),
            Err(error) => Ok((Err(error.downcast()?),)),
        }
    };
}

/// Replaces binding in the interfaces of WASI 0.2.
pub(in crate::engine::wasm) fn shadow2(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut tcp = linker.instance(TCP)?;
    tcp.func_wrap_async(
        "[method]tcp-socket.start-bind",
        |mut store: Store<'_>,
         (socket, network, wanted): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let host = store.data_mut();
                let address = host.ports.outside(Protocol::Tcp, wanted.into());
                let bound = HostTcpSocket::start_bind(&mut host.sockets(), socket, network, address.into()).await;
                let outcome: Outcome<(), ErrorCode> = outcome!(bound);
                outcome
            })
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.local-address",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| -> Outcome<_, ErrorCode> {
            let host = store.data_mut();
            let address = HostTcpSocket::local_address(&mut host.sockets(), socket);
            outcome!(address.map(|address| {
                IpSocketAddress::from(host.ports.inside(Protocol::Tcp, address.into()))
            }))
        },
    )?;
    let mut udp = linker.instance(UDP)?;
    udp.func_wrap_async(
        "[method]udp-socket.start-bind",
        |mut store: Store<'_>,
         (socket, network, wanted): (Resource<UdpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let host = store.data_mut();
                let address = host.ports.outside(Protocol::Udp, wanted.into());
                let bound = HostUdpSocket::start_bind(&mut host.sockets(), socket, network, address.into()).await;
                let outcome: Outcome<(), ErrorCode> = outcome!(bound);
                outcome
            })
        },
    )?;
    udp.func_wrap(
        "[method]udp-socket.local-address",
        |mut store: Store<'_>, (socket,): (Resource<UdpSocket>,)| -> Outcome<_, ErrorCode> {
            let host = store.data_mut();
            let address = HostUdpSocket::local_address(&mut host.sockets(), socket);
            outcome!(address.map(|address| {
                IpSocketAddress::from(host.ports.inside(Protocol::Udp, address.into()))
            }))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Replaces binding in the interface of WASI 0.3.
pub(in crate::engine::wasm) fn shadow3(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES3)?;
    types.func_wrap_async(
        "[method]tcp-socket.bind",
        |mut store: Store<'_>, (socket, wanted): (Resource<p3::TcpSocket>, p3::IpSocketAddress)| {
            Box::new(async move {
                let host = store.data_mut();
                let address = host.ports.outside(Protocol::Tcp, wanted.into());
                let sockets = &mut host.sockets();
                let bound = p3::HostTcpSocket::bind(sockets, socket, address.into());
                let outcome: Outcome<(), p3::ErrorCode> = outcome!(bound.await);
                outcome
            })
        },
    )?;
    types.func_wrap(
        "[method]tcp-socket.get-local-address",
        |mut store: Store<'_>,
         (socket,): (Resource<p3::TcpSocket>,)|
         -> Outcome<_, p3::ErrorCode> {
            let host = store.data_mut();
            let address = p3::HostTcpSocket::get_local_address(&mut host.sockets(), socket);
            outcome!(address.map(|address| {
                p3::IpSocketAddress::from(host.ports.inside(Protocol::Tcp, address.into()))
            }))
        },
    )?;
    types.func_wrap_async(
        "[method]udp-socket.bind",
        |mut store: Store<'_>, (socket, wanted): (Resource<p3::UdpSocket>, p3::IpSocketAddress)| {
            Box::new(async move {
                let host = store.data_mut();
                let address = host.ports.outside(Protocol::Udp, wanted.into());
                let sockets = &mut host.sockets();
                let bound = p3::HostUdpSocket::bind(sockets, socket, address.into());
                let outcome: Outcome<(), p3::ErrorCode> = outcome!(bound.await);
                outcome
            })
        },
    )?;
    types.func_wrap(
        "[method]udp-socket.get-local-address",
        |mut store: Store<'_>,
         (socket,): (Resource<p3::UdpSocket>,)|
         -> Outcome<_, p3::ErrorCode> {
            let host = store.data_mut();
            let address = p3::HostUdpSocket::get_local_address(&mut host.sockets(), socket);
            outcome!(address.map(|address| {
                p3::IpSocketAddress::from(host.ports.inside(Protocol::Udp, address.into()))
            }))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
