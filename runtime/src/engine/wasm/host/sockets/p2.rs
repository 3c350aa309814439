//! `wasi:sockets/tcp` and `wasi:sockets/udp` 0.2: the functions that name an address.

use super::super::Host;
use super::{Place, again};
use knarr_core::spec::Protocol;
use std::net::SocketAddr;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{HostTcpSocket, TcpSocket};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

/// The interfaces by the versions under which wasmtime-wasi 48 offers them; other versions of the same generation
/// are served by these.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const UDP: &str = "wasi:sockets/udp@0.2.12";

type Store<'a> = StoreContextMut<'a, Host>;

errors!(ErrorCode);

/// Wraps the functions in interfaces that the linker has already.
pub(in crate::engine::wasm) fn wrap(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp(linker)?;
    udp(linker)?;
    datagrams(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What sockets of TCP and of UDP have in common: they are bound, and have addresses.
macro_rules! common {
    ($wrap:ident, $name:literal, $protocol:expr, $socket:ty, $host:ident) => {
        fn $wrap(linker: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
            linker.func_wrap_async(
                concat!("[method]", $name, ".start-bind"),
                |mut store: Store<'_>,
                 (socket, network, wanted): (
                    Resource<$socket>,
                    Resource<Network>,
                    IpSocketAddress,
                )| {
                    Box::new(async move {
                        let (place, mut sockets) = store.data_mut().sockets_and_place();
                        let wanted = SocketAddr::from(wanted);
                        let outside = match place.outside($protocol, wanted) {
                            Ok(outside) => outside.into(),
                            Err(refusal) => return outcome(Err(refusal.into())),
                        };
                        let binds =
                            $host::start_bind(&mut sockets, again(&socket), network, outside).await;
                        if binds.is_ok()
                            && let Ok(bound) = $host::local_address(&mut sockets, socket)
                        {
                            place.bound($protocol, wanted, bound.into()).await;
                        }
                        outcome(binds)
                    })
                },
            )?;
            linker.func_wrap(
                concat!("[method]", $name, ".local-address"),
                |mut store: Store<'_>, (socket,): (Resource<$socket>,)| -> Outcome<_> {
                    let (place, mut sockets) = store.data_mut().sockets_and_place();
                    let address = $host::local_address(&mut sockets, socket);
                    let seen = address.map(|a| place.inside($protocol, a.into()));
                    outcome(seen.map(IpSocketAddress::from))
                },
            )?;
            linker.func_wrap(
                concat!("[method]", $name, ".remote-address"),
                |mut store: Store<'_>, (socket,): (Resource<$socket>,)| -> Outcome<_> {
                    let (place, mut sockets) = store.data_mut().sockets_and_place();
                    let address = $host::remote_address(&mut sockets, socket);
                    let seen = address.map(|a| place.peer($protocol, a.into()));
                    outcome(seen.map(IpSocketAddress::from))
                },
            )
        }
    };
}

common!(tcp_common, "tcp-socket", Protocol::Tcp, TcpSocket, HostTcpSocket);
common!(udp_common, "udp-socket", Protocol::Udp, UdpSocket, HostUdpSocket);

fn tcp(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut tcp = linker.instance(TCP)?;
    tcp_common(&mut tcp)?;
    tcp.func_wrap_async(
        "[method]tcp-socket.start-connect",
        |mut store: Store<'_>,
         (socket, network, wanted): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let (place, mut sockets) = store.data_mut().sockets_and_place();
                outcome(connect_tcp(&place, &mut sockets, socket, network, wanted.into()).await)
            })
        },
    )?;
    tcp.func_wrap_async(
        "[method]tcp-socket.start-listen",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
            Box::new(async move {
                let (place, mut sockets) = store.data_mut().sockets_and_place();
                let listens = HostTcpSocket::start_listen(&mut sockets, again(&socket)).await;
                if listens.is_ok()
                    && let Ok(at) = HostTcpSocket::local_address(&mut sockets, socket)
                {
                    place.listens(at.into());
                }
                outcome(listens)
            })
        },
    )
}

async fn connect_tcp(
    place: &Place,
    sockets: &mut WasiSocketsCtxView<'_>,
    socket: Resource<TcpSocket>,
    network: Resource<Network>,
    wanted: SocketAddr,
) -> Result<(), SocketError> {
    let target = place.target(Protocol::Tcp, wanted).await?;
    if HostTcpSocket::local_address(sockets, again(&socket)).is_err()
        && let Some(source) = place.source(target)?
    {
        let network = again(&network);
        HostTcpSocket::start_bind(sockets, again(&socket), network, source.into()).await?;
        HostTcpSocket::finish_bind(sockets, again(&socket))?;
    }
    HostTcpSocket::start_connect(sockets, socket, network, target.into())
}

fn udp(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut udp = linker.instance(UDP)?;
    udp_common(&mut udp)?;
    udp.func_wrap_async(
        "[method]udp-socket.stream",
        |mut store: Store<'_>, (socket, wanted): (Resource<UdpSocket>, Option<IpSocketAddress>)| {
            Box::new(async move {
                let (place, mut sockets) = store.data_mut().sockets_and_place();
                let target = match wanted {
                    Some(wanted) => match place.target(Protocol::Udp, wanted.into()).await {
                        Ok(target) => Some(target.into()),
                        Err(refusal) => return outcome(Err(refusal.into())),
                    },
                    None => None,
                };
                outcome(HostUdpSocket::stream(&mut sockets, socket, target).await)
            })
        },
    )
}

fn datagrams(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut udp = linker.instance(UDP)?;
    udp.func_wrap(
        "[method]incoming-datagram-stream.receive",
        |mut store: Store<'_>,
         (stream, most): (Resource<IncomingDatagramStream>, u64)|
         -> Outcome<Vec<IncomingDatagram>> {
            let (place, mut sockets) = store.data_mut().sockets_and_place();
            let received = HostIncomingDatagramStream::receive(&mut sockets, stream, most);
            outcome(received.map(|mut datagrams| {
                for datagram in &mut datagrams {
                    let peer = place.peer(Protocol::Udp, datagram.remote_address.into());
                    datagram.remote_address = peer.into();
                }
                datagrams
            }))
        },
    )?;
    udp.func_wrap_async(
        "[method]outgoing-datagram-stream.send",
        |mut store: Store<'_>,
         (stream, mut datagrams): (Resource<OutgoingDatagramStream>, Vec<OutgoingDatagram>)| {
            Box::new(async move {
                let (place, mut sockets) = store.data_mut().sockets_and_place();
                // those before one that is refused are sent, and the refusal is told when it is the first
                for at in 0..datagrams.len() {
                    let Some(wanted) = datagrams[at].remote_address else { continue };
                    match place.target(Protocol::Udp, wanted.into()).await {
                        Ok(target) => datagrams[at].remote_address = Some(target.into()),
                        Err(refusal) if at == 0 => return outcome(Err(refusal.into())),
                        Err(_) => {
                            datagrams.truncate(at);
                            break;
                        }
                    }
                }
                outcome(HostOutgoingDatagramStream::send(&mut sockets, stream, datagrams))
            })
        },
    )
}
