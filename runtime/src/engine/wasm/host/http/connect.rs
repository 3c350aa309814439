//! A connection to a host by name.

use super::super::names::{Failure, Names};
use super::super::sockets::{Place, Refusal};
use knarr_core::spec::Protocol;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use wasmtime_wasi_http::Error;

/// Plain or encrypted.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the first of the host's addresses that answers.
pub(super) async fn connect(
    names: &Names,
    place: &Place,
    host: &str,
    port: u16,
) -> Result<TcpStream, Error> {
    let addresses = names.resolve(host).await.map_err(|failure| match failure {
        Failure::Unanswered => Error::DnsTimeout,
        Failure::Invalid => Error::HttpRequestUriInvalid,
        Failure::Denied => Error::HttpRequestDenied,
        Failure::Unknown => Error::DnsError { rcode: Some("NXDOMAIN".into()), info_code: None },
    })?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        // an IPv4 address may be written as one of IPv6
        match open(place, SocketAddr::new(address.to_canonical(), port)).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::PermissionDenied => Error::HttpRequestDenied,
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Error::DestinationIpUnroutable
        }
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::Connect(last),
    })
}

/// Connects from the container's own address.
async fn open(place: &Place, address: SocketAddr) -> io::Result<TcpStream> {
    let refused = |refusal| match refusal {
        Refusal::Denied => io::ErrorKind::PermissionDenied,
        Refusal::Invalid => io::ErrorKind::InvalidInput,
        Refusal::Refused => io::ErrorKind::ConnectionRefused,
        Refusal::Unreachable | Refusal::NotOwn => io::ErrorKind::NetworkUnreachable,
    };
    let target = place.target(Protocol::Tcp, address).await.map_err(refused)?;
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = place.source(target).map_err(refused)? {
        // the port is chosen by where the connection leads: there are enough then
        no_port_yet(&socket)?;
        socket.bind(source)?;
    }
    socket.connect(target).await
}

/// `IP_BIND_ADDRESS_NO_PORT` (`ip(7)`).
fn no_port_yet(socket: &TcpSocket) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the socket is open, the option an integer that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const yes).cast(),
            size_of_val(&yes) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
