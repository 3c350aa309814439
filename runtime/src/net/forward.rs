//! Published ports that no packet filter leads to their container: what arrives on a socket of the host is taken there.
//!
//! So it is where the container has no address of the family, for `::1`, from which nothing is routed, and for an ordinary
//! user, who has no say in the host's packet filter (the sockets are bound on the host before the monitor enters the user's
//! networks). A child of the monitor does it, which the first client brings about. On an ordinary user's networks the
//! container sees the client's address, elsewhere that of the network's gateway.

use super::attach::leads_in;
use super::endpoint::Endpoint;
use super::ports::Held;
use super::rootless::Sources;
use crate::sys::process;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{Port, Protocol};
use rustix::net::{SocketType, accept};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

/// A client of a UDP port that has been silent for so long is forgotten (RFC 4787, section 4.3).
const SILENCE: Duration = Duration::from_secs(120);
const DATAGRAM: usize = 65_536;

/// The published ports of the host, as long as this lives: holds all of them, and takes to the container what arrives on
/// those that listen.
#[derive(Debug, Default)]
pub struct Publication {
    held: Vec<Held>,
    /// Where the container is reached.
    addresses: Vec<IpAddr>,
    sources: Sources,
    child: Option<Child>,
}

impl Publication {
    /// For a container with these places: it is reached on its first network that is not internal, as by the packet filter.
    pub fn new(held: Vec<Held>, places: &[(NetworkSpec, Endpoint)]) -> Self {
        let sources = Sources::of(places.iter().map(|(network, _)| network));
        Self { held, addresses: reached(places), sources, child: None }
    }

    /// The container's places are others now.
    pub fn follow(&mut self, places: &[(NetworkSpec, Endpoint)]) {
        if reached(places) != self.addresses {
            let Self { held, .. } = std::mem::take(self);
            // the child that knew the old ones ends; the next client makes another start
            *self = Self::new(held, places);
        }
    }

    /// What tells that the first client is there, who waits until [`Self::start`].
    pub fn wanted(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let waits = self.child.is_none();
        self.listeners().filter(move |_| waits).map(|(_, socket)| socket.as_fd())
    }

    fn listeners(&self) -> impl Iterator<Item = (&Port, &OwnedFd)> {
        let listening = self.held.iter().filter(|held| held.listens);
        listening.filter_map(|held| Some((&held.port, held.socket.as_ref()?)))
    }

    /// Starts to forward in a child of this process, which must have a single thread and be where the container is reached.
    pub fn start(&mut self) {
        // SAFETY: a single thread, so nothing is locked in the child, which never returns.
        match unsafe { libc::fork() } {
            // out of processes: who is there is sent away, the next one may have more luck
            -1 => self.listeners().for_each(|(_, socket)| drop(accept(socket))),
            0 => {
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                let held = std::mem::take(&mut self.held).into_iter().filter(|held| held.listens);
                let listeners: Vec<_> =
                    held.filter_map(|held| Some((held.port, held.socket?))).collect();
                // the monitor's locks must end with it, and so must the pipes to those who wait for it
                process::keep_only(listeners.iter().map(|(_, socket)| socket.as_raw_fd()));
                let _ = run(listeners, &self.addresses, std::mem::take(&mut self.sources));
                // SAFETY: ends this process without running what its parent registered for its own end.
                unsafe { libc::_exit(1) }
            }
            pid => self.child = Pid::from_raw(pid).map(Child),
        }
    }
}

/// The addresses of the network to which ports are led.
fn reached(places: &[(NetworkSpec, Endpoint)]) -> Vec<IpAddr> {
    let open = places.iter().find(|(network, place)| leads_in(network) && place.is_up());
    open.iter().flat_map(|(_, place)| place.addresses()).collect()
}

#[derive(Debug)]
struct Child(Pid);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.0), rustix::process::WaitOptions::empty());
    }
}

fn run(listeners: Vec<(Port, OwnedFd)>, addresses: &[IpAddr], sources: Sources) -> io::Result<()> {
    let sources = Rc::new(sources.asked());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        for (port, socket) in listeners {
            let way = Way { to: target(&port, addresses), sources: sources.clone() };
            match port.protocol {
                Protocol::Tcp => {
                    let listener = TcpListener::from_std(socket.into())?;
                    spawn_local(streams(listener, way));
                }
                _ => {
                    let socket = UdpSocket::from_std(socket.into())?;
                    spawn_local(datagrams(Rc::new(socket), way));
                }
            }
        }
        std::future::pending::<io::Result<()>>().await
    })
}

/// The container's address for a port: of the family that is asked for, if it has one.
fn target(port: &Port, addresses: &[IpAddr]) -> SocketAddr {
    let same = |a: &&IpAddr| port.host_ip.is_some_and(|ip| ip.is_ipv4() == a.is_ipv4());
    let address = addresses.iter().find(same).or(addresses.first());
    SocketAddr::new(address.copied().unwrap_or([127, 0, 0, 1].into()), port.container_port)
}

/// The way of one port into the container.
#[derive(Clone)]
struct Way {
    to: SocketAddr,
    sources: Rc<Sources>,
}

impl Way {
    async fn stream(&self, client: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.sources.open(SocketType::STREAM, client.ip(), self.to.ip())?;
        TcpSocket::from_std_stream(socket.into()).connect(self.to).await
    }

    async fn datagrams(&self, client: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.sources.open(SocketType::DGRAM, client.ip(), self.to.ip())?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket.connect(self.to).await?;
        Ok(socket)
    }
}

async fn streams(listener: TcpListener, way: Way) {
    loop {
        match listener.accept().await {
            Ok((mut client, from)) => {
                let way = way.clone();
                spawn_local(async move {
                    // nobody listens: the client sees its connection closed
                    if let Ok(mut server) = way.stream(from).await {
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
async fn datagrams(outside: Rc<UdpSocket>, way: Way) {
    let mut clients: HashMap<SocketAddr, Rc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, client)) = outside.recv_from(&mut buffer).await else { continue };
        // one whose task has ended is the only holder of its socket
        clients.retain(|_, socket| Rc::strong_count(socket) > 1);
        let inside = match clients.get(&client) {
            Some(inside) => inside.clone(),
            None => {
                let Ok(inside) = way.datagrams(client).await else { continue };
                let inside = Rc::new(inside);
                spawn_local(answers(inside.clone(), outside.clone(), client));
                clients.insert(client, inside.clone());
                inside
            }
        };
        let _ = inside.send(&buffer[..length]).await;
    }
}

async fn answers(inside: Rc<UdpSocket>, outside: Rc<UdpSocket>, client: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(Ok(length)) = timeout(SILENCE, inside.recv(&mut buffer)).await {
        let _ = outside.send_to(&buffer[..length], client).await;
    }
}
