//! A connection to a host by name.

use super::super::names::{Failure, Names};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wasmtime_wasi_http::Error;

/// Plain or encrypted.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the first of the host's addresses that answers.
pub(super) async fn connect(names: &Names, host: &str, port: u16) -> Result<TcpStream, Error> {
    let addresses = names.resolve(host).await.map_err(|failure| match failure {
        Failure::Unanswered => Error::DnsTimeout,
        Failure::Invalid => Error::HttpRequestUriInvalid,
        Failure::Denied => Error::HttpRequestDenied,
        Failure::Unknown => Error::DnsError { rcode: Some("NXDOMAIN".into()), info_code: None },
    })?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Error::DestinationIpUnroutable
        }
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::Connect(last),
    })
}
