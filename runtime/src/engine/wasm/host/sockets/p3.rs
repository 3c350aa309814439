//! `wasi:sockets/types` 0.3: the functions that name an address.

use super::super::Host;
use super::again;
use knarr_core::spec::Protocol;
use std::net::SocketAddr;
use wasmtime::component::{Access, Accessor, Linker, LinkerInstance, Resource};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, HostUdpSocket, HostUdpSocketWithStore,
    IpSocketAddress, TcpSocket, UdpSocket,
};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

/// By the version under which wasmtime-wasi 48 offers it.
const TYPES: &str = "wasi:sockets/types@0.3.0";

type Store<'a> = StoreContextMut<'a, Host>;

errors!(ErrorCode);

/// Wraps the functions in an interface that the linker has already.
pub(in crate::engine::wasm) fn wrap(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp(linker)?;
    udp(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What sockets of TCP and of UDP have in common: they are bound, and have addresses.
macro_rules! common {
    ($wrap:ident, $bind:ident, $name:literal, $protocol:expr, $socket:ty, $host:ident) => {
        fn $wrap(types: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
            types.func_wrap_async(
                concat!("[method]", $name, ".bind"),
                |mut store: Store<'_>, (socket, wanted): (Resource<$socket>, IpSocketAddress)| {
                    Box::new(async move {
                        outcome($bind(store.data_mut(), &socket, wanted.into()).await)
                    })
                },
            )?;
            types.func_wrap(
                concat!("[method]", $name, ".get-local-address"),
                |mut store: Store<'_>, (socket,): (Resource<$socket>,)| -> Outcome<_> {
                    let (place, mut sockets) = store.data_mut().sockets_and_place();
                    let address = $host::get_local_address(&mut sockets, socket);
                    let seen = address.map(|a| place.inside($protocol, a.into()));
                    outcome(seen.map(IpSocketAddress::from))
                },
            )?;
            types.func_wrap(
                concat!("[method]", $name, ".get-remote-address"),
                |mut store: Store<'_>, (socket,): (Resource<$socket>,)| -> Outcome<_> {
                    let (place, mut sockets) = store.data_mut().sockets_and_place();
                    let address = $host::get_remote_address(&mut sockets, socket);
                    let seen = address.map(|a| place.peer($protocol, a.into()));
                    outcome(seen.map(IpSocketAddress::from))
                },
            )
        }

        async fn $bind(
            host: &mut Host,
            socket: &Resource<$socket>,
            wanted: SocketAddr,
        ) -> Result<(), SocketError> {
            let (place, mut sockets) = host.sockets_and_place();
            let outside = place.outside($protocol, wanted)?;
            $host::bind(&mut sockets, again(socket), outside.into()).await?;
            if let Ok(bound) = $host::get_local_address(&mut sockets, again(socket)) {
                place.bound($protocol, wanted, bound.into()).await;
            }
            Ok(())
        }
    };
}

common!(tcp_common, bind_tcp, "tcp-socket", Protocol::Tcp, TcpSocket, HostTcpSocket);
common!(udp_common, bind_udp, "udp-socket", Protocol::Udp, UdpSocket, HostUdpSocket);

fn tcp(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    tcp_common(&mut types)?;
    types.func_wrap_concurrent(
        "[method]tcp-socket.connect",
        |store: &Accessor<Host>, (socket, wanted): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::pin(async move { outcome(connect_tcp(store, socket, wanted.into()).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]tcp-socket.listen",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
            Box::new(async move {
                let host = store.data_mut();
                // what is not bound would be bound to every address there is
                if HostTcpSocket::get_local_address(&mut host.sockets(), again(&socket)).is_err()
                    && let Ok(family) =
                        HostTcpSocket::get_address_family(&mut host.sockets(), again(&socket))
                {
                    let any = super::any(family == v4());
                    if let Err(error) = bind_tcp(host, &socket, any).await {
                        return outcome(Err(error));
                    }
                }
                let access = Access::<_, WasiSockets>::new(store.as_context_mut(), Host::sockets);
                let own = again(&socket);
                let listens =
                    <WasiSockets as HostTcpSocketWithStore<Host>>::listen(access, socket).await;
                let (place, mut sockets) = store.data_mut().sockets_and_place();
                if listens.is_ok()
                    && let Ok(at) = HostTcpSocket::get_local_address(&mut sockets, own)
                {
                    place.listens(at.into());
                }
                outcome(listens)
            })
        },
    )
}

fn v4() -> wasmtime_wasi::p3::bindings::sockets::types::IpAddressFamily {
    wasmtime_wasi::p3::bindings::sockets::types::IpAddressFamily::Ipv4
}

async fn connect_tcp(
    store: &Accessor<Host>,
    socket: Resource<TcpSocket>,
    wanted: SocketAddr,
) -> Result<(), SocketError> {
    let place = store.with(|mut access| access.data_mut().place.clone());
    let target = place.target(Protocol::Tcp, wanted).await?;
    let source = place.source(target)?;
    store.with(|mut access| -> Result<(), SocketError> {
        let mut sockets = access.data_mut().sockets();
        let is_bound = HostTcpSocket::get_local_address(&mut sockets, again(&socket)).is_ok();
        match source.filter(|_| !is_bound) {
            // binding waits for nothing
            Some(source) => {
                super::at_once(HostTcpSocket::bind(&mut sockets, again(&socket), source.into()))
                    .unwrap_or_else(|| Err(ErrorCode::Other(None).into()))
            }
            None => Ok(()),
        }
    })?;
    let sockets = store.with_getter::<WasiSockets>(Host::sockets);
    <WasiSockets as HostTcpSocketWithStore<Host>>::connect(&sockets, socket, target.into()).await
}

fn udp(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    udp_common(&mut types)?;
    types.func_wrap_async(
        "[method]udp-socket.connect",
        |mut store: Store<'_>, (socket, wanted): (Resource<UdpSocket>, IpSocketAddress)| {
            Box::new(
                async move { outcome(connect_udp(store.data_mut(), socket, wanted.into()).await) },
            )
        },
    )?;
    types.func_wrap_concurrent(
        "[method]udp-socket.send",
        |store: &Accessor<Host>,
         (socket, data, wanted): (Resource<UdpSocket>, Vec<u8>, Option<IpSocketAddress>)| {
            Box::pin(async move { outcome(send_udp(store, socket, data, wanted).await) })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]udp-socket.receive",
        |store: &Accessor<Host>, (socket,): (Resource<UdpSocket>,)| {
            Box::pin(async move {
                let place = store.with(|mut access| access.data_mut().place.clone());
                let sockets = store.with_getter::<WasiSockets>(Host::sockets);
                let received =
                    <WasiSockets as HostUdpSocketWithStore<Host>>::receive(&sockets, socket).await;
                outcome(received.map(|(data, from)| {
                    let from = place.peer(Protocol::Udp, from.into());
                    (data, IpSocketAddress::from(from))
                }))
            })
        },
    )
}

async fn connect_udp(
    host: &mut Host,
    socket: Resource<UdpSocket>,
    wanted: SocketAddr,
) -> Result<(), SocketError> {
    let (place, mut sockets) = host.sockets_and_place();
    let target = place.target(Protocol::Udp, wanted).await?;
    if HostUdpSocket::get_local_address(&mut sockets, again(&socket)).is_err()
        && let Some(source) = place.source(target)?
    {
        HostUdpSocket::bind(&mut sockets, again(&socket), source.into()).await?;
    }
    HostUdpSocket::connect(&mut sockets, socket, target.into()).await
}

async fn send_udp(
    store: &Accessor<Host>,
    socket: Resource<UdpSocket>,
    data: Vec<u8>,
    wanted: Option<IpSocketAddress>,
) -> Result<(), SocketError> {
    let place = store.with(|mut access| access.data_mut().place.clone());
    let target = match wanted {
        None => None,
        Some(wanted) => {
            let target = place.target(Protocol::Udp, wanted.into()).await?;
            let source = place.source(target)?;
            store.with(|mut access| -> Result<(), SocketError> {
                let mut sockets = access.data_mut().sockets();
                let bound = HostUdpSocket::get_local_address(&mut sockets, again(&socket));
                let Some(source) = source.filter(|_| bound.is_err()) else { return Ok(()) };
                super::at_once(HostUdpSocket::bind(&mut sockets, again(&socket), source.into()))
                    .unwrap_or_else(|| Err(ErrorCode::Other(None).into()))
            })?;
            Some(target.into())
        }
    };
    let sockets = store.with_getter::<WasiSockets>(Host::sockets);
    <WasiSockets as HostUdpSocketWithStore<Host>>::send(&sockets, socket, data, target).await
}
