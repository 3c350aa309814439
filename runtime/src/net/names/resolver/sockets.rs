//! Where native containers ask.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// As in Docker.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;

/// The sockets on 127.0.0.11:53.
#[derive(Debug)]
pub struct Sockets {
    pub(super) datagrams: UdpSocket,
    pub(super) connections: TcpListener,
}

impl Sockets {
    /// Binds them in the calling thread's network namespace, whose loopback must be up.
    pub fn open() -> io::Result<Self> {
        let address = SocketAddr::from((ADDRESS, PORT));
        Self::of(UdpSocket::bind(address)?, TcpListener::bind(address)?)
    }

    pub(super) fn of(datagrams: UdpSocket, connections: TcpListener) -> io::Result<Self> {
        datagrams.set_nonblocking(true)?;
        connections.set_nonblocking(true)?;
        Ok(Self { datagrams, connections })
    }
}
