//! Listening at all addresses of a container, for guests that open their sockets themselves.
//!
//! In a namespace with neighbours no socket can listen at all addresses that there are: a guest's socket is bound to the
//! first of its own. At the others listeners of ours pass connections on to it, and the guest is told of the true peer. One
//! of them is its loopback's: a further guest of the container connects there.

use super::{Place, lock};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What is passed on.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// The guest's sockets that have listeners of ours.
    served: Mutex<HashSet<SocketAddr>>,
    /// Who really is at the other end of a connection that comes from here.
    peers: Mutex<HashMap<SocketAddr, SocketAddr>>,
}

impl Relays {
    pub fn peer(&self, of: SocketAddr) -> SocketAddr {
        lock(&self.peers).get(&of).copied().unwrap_or(of)
    }
}

/// Listens at the other addresses of the family as well, in the calling thread's event loop, until the guest does not listen
/// any more.
pub(super) fn start(
    place: Arc<Place>,
    relays: Arc<Relays>,
    guest: SocketAddr,
    loopback: Option<IpAddr>,
) {
    if lock(&relays.served).insert(guest) {
        tokio::spawn(async move {
            follow(&place, &relays, guest, loopback).await;
            lock(&relays.served).remove(&guest);
        });
    }
}

async fn follow(place: &Place, relays: &Arc<Relays>, guest: SocketAddr, loopback: Option<IpAddr>) {
    let mut tasks = JoinSet::new();
    let mut listeners: HashMap<IpAddr, AbortHandle> = HashMap::new();
    loop {
        let now = place.current.get();
        listeners.retain(|ip, task| {
            let is_own = now.is_own(*ip) || loopback == Some(*ip);
            if !is_own {
                task.abort();
            }
            is_own
        });
        let like = now.addresses().filter(|ip| ip.is_ipv4() == guest.is_ipv4());
        for ip in like.chain(loopback) {
            // what the guest has bound there itself stays its own
            if ip != guest.ip()
                && !listeners.contains_key(&ip)
                && let Ok(listener) = TcpListener::bind((ip, guest.port())).await
            {
                listeners.insert(ip, tasks.spawn(accept(listener, relays.clone(), guest)));
            }
        }
        tokio::select! {
            () = place.current.changed() => {}
            Some(ended) = tasks.join_next() => if ended.is_ok() { return },
        }
    }
}

/// Returns when the guest does not listen any more.
async fn accept(listener: TcpListener, relays: Arc<Relays>, guest: SocketAddr) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // out of descriptors or memory, or a connection that is gone again: it may get better
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        match Passed::connect(&relays, guest, peer).await {
            Ok((passed, inner)) => drop(tokio::spawn(pass(stream, inner, passed))),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => return,
            Err(_) => {}
        }
    }
}

async fn pass(mut outer: TcpStream, mut inner: TcpStream, _passed: Passed) {
    let (_, _) = (outer.set_nodelay(true), inner.set_nodelay(true));
    // each side sees the other's end, and has no other use for how it came to it
    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
}

/// A connection that is passed on, by where it comes from here.
struct Passed(Arc<Relays>, SocketAddr);

impl Passed {
    async fn connect(
        relays: &Arc<Relays>,
        guest: SocketAddr,
        peer: SocketAddr,
    ) -> io::Result<(Self, TcpStream)> {
        let socket = if guest.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // no other guest has this address to connect from
        socket.bind(SocketAddr::new(guest.ip(), 0))?;
        let passed = Self(relays.clone(), socket.local_addr()?);
        // before the guest can ask
        lock(&relays.peers).insert(passed.1, peer);
        Ok((passed, socket.connect(guest).await?))
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        lock(&self.0.peers).remove(&self.1);
    }
}
