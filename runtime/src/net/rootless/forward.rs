//! Published ports of an ordinary user's containers.
//!
//! An ordinary user has no say in the host's packet filter. So the monitor listens on the host before it enters the
//! user's networks, and a child of it, inside of them, takes what arrives to the container. The container sees the
//! network's gateway as the other end, not the client.

use super::error::{Doing, Error};
use knarr_core::spec::{Port, Protocol};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as Udp};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

/// Connections that the kernel may hold ready.
const BACKLOG: i32 = 1024;
/// A client of a UDP port that has been silent for so long is forgotten (RFC 4787, section 4.3).
const SILENCE: Duration = Duration::from_secs(120);
const DATAGRAM: usize = 65_536;

/// What a host port leads to, and the socket that is bound to it.
#[derive(Debug)]
pub struct Listener {
    pub port: Port,
    pub socket: OwnedFd,
}

/// The process that forwards; it ends with the process that started it.
#[derive(Debug)]
pub struct Forward {
    pid: Pid,
}

/// Starts to forward, in a child of this process, which must have a single thread and be inside of the user's networks.
/// `addresses` are the container's.
pub fn start(listeners: Vec<Listener>, addresses: &[IpAddr]) -> Result<Option<Forward>, Error> {
    if listeners.is_empty() {
        return Ok(None);
    }
    for listener in listeners.iter().filter(|l| l.port.protocol == Protocol::Tcp) {
        rustix::net::listen(&listener.socket, BACKLOG).doing("listen on a published port")?;
    }
    // SAFETY: a single thread, so nothing is locked in the child, which never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).doing("start to forward published ports"),
        0 => {
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            keep_only(&listeners);
            let _ = run(listeners, addresses);
            // SAFETY: ends this process without running what its parent registered for its own end.
            unsafe { libc::_exit(1) }
        }
        pid => Ok(Pid::from_raw(pid).map(|pid| Forward { pid })),
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::empty());
    }
}

fn run(listeners: Vec<Listener>, addresses: &[IpAddr]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        for Listener { port, socket } in listeners {
            let to = target(&port, addresses);
            match port.protocol {
                Protocol::Tcp => {
                    let listener = std::net::TcpListener::from(socket);
                    listener.set_nonblocking(true)?;
                    spawn_local(streams(TcpListener::from_std(listener)?, to));
                }
                _ => {
                    let socket = Udp::from(socket);
                    socket.set_nonblocking(true)?;
                    spawn_local(datagrams(Rc::new(UdpSocket::from_std(socket)?), to));
                }
            }
        }
        std::future::pending::<io::Result<()>>().await
    })
}

/// Closes everything else: the monitor's locks must end with it, and so must the pipes to those who wait for it.
fn keep_only(listeners: &[Listener]) {
    let mut kept: Vec<u32> =
        listeners.iter().filter_map(|l| l.socket.as_raw_fd().try_into().ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for last in kept.into_iter().map(Some).chain([None]) {
        let end = last.map_or(u32::MAX, |last| last.saturating_sub(1));
        if first <= end {
            // SAFETY: this process uses no descriptor of its parent's but those that are kept.
            unsafe { libc::syscall(libc::SYS_close_range, first, end, 0) };
        }
        first = last.map_or(u32::MAX, |last| last.saturating_add(1));
    }
}

/// The container's address for a port: of the family that is asked for, if it has one.
fn target(port: &Port, addresses: &[IpAddr]) -> SocketAddr {
    let same = |a: &&IpAddr| port.host_ip.is_some_and(|ip| ip.is_ipv4() == a.is_ipv4());
    let address = addresses.iter().find(same).or(addresses.first());
    SocketAddr::new(address.copied().unwrap_or([127, 0, 0, 1].into()), port.container_port)
}

async fn streams(listener: TcpListener, to: SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((mut client, _)) => {
                spawn_local(async move {
                    // nobody listens: the client sees its connection closed
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = (client.set_nodelay(true), server.set_nodelay(true));
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
            // out of descriptors: some will be closed
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Each client gets a socket of its own, so that answers find back.
async fn datagrams(outside: Rc<UdpSocket>, to: SocketAddr) {
    let mut clients: HashMap<SocketAddr, Rc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, client)) = outside.recv_from(&mut buffer).await else { continue };
        // one whose task has ended is the only holder of its socket
        clients.retain(|_, socket| Rc::strong_count(socket) > 1);
        let inside = match clients.get(&client) {
            Some(inside) => inside.clone(),
            None => {
                let Ok(inside) = connected(to).await else { continue };
                let inside = Rc::new(inside);
                spawn_local(answers(inside.clone(), outside.clone(), client));
                clients.insert(client, inside.clone());
                inside
            }
        };
        let _ = inside.send(&buffer[..length]).await;
    }
}

async fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn answers(inside: Rc<UdpSocket>, outside: Rc<UdpSocket>, client: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(Ok(length)) = timeout(SILENCE, inside.recv(&mut buffer)).await {
        let _ = outside.send_to(&buffer[..length], client).await;
    }
}
