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
        Self::at((ADDRESS, PORT).into())
    }

    pub(super) fn at(address: SocketAddr) -> io::Result<Self> {
        let datagrams = UdpSocket::bind(address)?;
        let connections = TcpListener::bind(datagrams.local_addr()?)?;
        datagrams.set_nonblocking(true)?;
        connections.set_nonblocking(true)?;
        Ok(Self { datagrams, connections })
    }
}
