//! Sockets in the host's network namespace for those who have left it and may not go back: the keeper, which never left,
//! opens them.

use super::packet;
use crate::net::store;
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::sys;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// How long the keeper may take. Whoever asks has other things to do.
const PATIENCE: Duration = Duration::from_millis(500);

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// From where a monitor reaches other name servers: from the host, which alone reaches its own loopback and is an address that
/// pasta gives to the networks too.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// `None`: this process never leaves the host.
    keeper: Option<PathBuf>,
    /// What is reached from where this process is.
    neighbours: Vec<IpNet>,
}

impl Outside {
    /// For a container on these networks.
    pub fn of(root: &Root, networks: &[NetworkSpec]) -> Self {
        Self {
            keeper: (!sys::is_superuser()).then(|| root.network_keeper()),
            neighbours: networks.iter().flat_map(store::subnets).collect(),
        }
    }

    /// A socket to connect to this address. Where no keeper answers it is one of this process's own namespace.
    pub fn open(&self, kind: SocketType, to: IpAddr) -> io::Result<OwnedFd> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let is_near = self.neighbours.iter().any(|subnet| subnet.contains(&to));
        let keeper = self.keeper.as_ref().filter(|_| !is_near);
        match keeper.and_then(|path| borrow(path, family, kind).ok().flatten()) {
            Some(socket) => Ok(socket),
            None => Ok(socket_with(family, kind, FLAGS, None)?),
        }
    }
}

/// `None`: the keeper gives none.
fn borrow(
    keeper: &PathBuf,
    family: AddressFamily,
    kind: SocketType,
) -> io::Result<Option<OwnedFd>> {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for timeout in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
    }
    connect(&socket, &SocketAddrUnix::new(keeper)?)?;
    packet::send(&socket, &request(family, kind), &[])?;
    // the namespaces come first, as for everybody
    packet::receive(&socket)?;
    Ok(packet::receive(&socket)?.and_then(|packet| packet.descriptors.into_iter().next()))
}

fn request(family: AddressFamily, kind: SocketType) -> [u8; 2] {
    [
        if family == AddressFamily::INET { b'4' } else { b'6' },
        if kind == SocketType::STREAM { b's' } else { b'd' },
    ]
}

/// The request for a way out of the networks.
const WAY: &[u8] = b"way";

/// Asks the keeper for a way out; what it is. `None`: there is none.
pub fn ask_way(keeper: impl AsFd) -> io::Result<Option<String>> {
    packet::send(&keeper, WAY, &[])?;
    let text = packet::receive(&keeper)?.map(|packet| packet.text).unwrap_or_default();
    let name = String::from_utf8_lossy(text.strip_prefix(b"=").unwrap_or_default()).into_owned();
    Ok((!name.is_empty()).then_some(name))
}

/// The keeper's side: answers one request of a user. `None`: the user has ended, or is none that could be understood.
pub fn answer(user: impl AsFd, way: impl FnOnce() -> Option<&'static str>) -> Option<()> {
    let packet = packet::receive(&user).ok()??;
    if packet.text == WAY {
        let name = format!("={}", way().unwrap_or_default());
        return packet::send(&user, name.as_bytes(), &[]).ok();
    }
    let families = [AddressFamily::INET, AddressFamily::INET6];
    let kinds = [SocketType::DGRAM, SocketType::STREAM];
    let mut wishes = families.iter().flat_map(|family| kinds.iter().map(|kind| (*family, *kind)));
    let (family, kind) = wishes.find(|(f, k)| packet.text == request(*f, *k))?;
    let socket = socket_with(family, kind, FLAGS, None).ok()?;
    packet::send(&user, b"=", &[socket.as_fd()]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{socket_domain, socket_type};
    use rustix::net::{bind, listen, socketpair};

    #[test]
    fn the_keeper_gives_the_socket_that_was_asked_for() {
        let pair = || {
            let flags = SocketFlags::CLOEXEC;
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
        };
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            for kind in [SocketType::DGRAM, SocketType::STREAM] {
                let (keeper, user) = pair();
                packet::send(&user, &request(family, kind), &[]).unwrap();
                answer(&keeper, || None).unwrap();
                let [socket] = &packet::receive(&user).unwrap().unwrap().descriptors[..] else {
                    panic!("{family:?} {kind:?}")
                };
                assert_eq!(socket_domain(socket), Ok(family));
                assert_eq!(socket_type(socket), Ok(kind));
            }
        }
        for nonsense in [&b"4"[..], b"7d", b"4d4d", &[0xff; 200]] {
            let (keeper, user) = pair();
            packet::send(&user, nonsense, &[]).unwrap();
            assert_eq!(answer(&keeper, || None), None, "{nonsense:?}");
        }
        let (keeper, user) = pair();
        packet::send(&user, WAY, &[]).unwrap();
        answer(&keeper, || Some("pasta")).unwrap();
        assert_eq!(packet::receive(&user).unwrap().unwrap().text, b"=pasta");
        drop(user);
        assert_eq!(answer(&keeper, || None), None);
    }

    #[test]
    fn without_an_answer_of_the_keeper_a_socket_is_opened_here() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keeper");
        let near = "10.0.0.0/24".parse().unwrap();
        let outside = Outside { keeper: Some(path.clone()), neighbours: vec![near] };
        let open = |to: &str| outside.open(SocketType::DGRAM, to.parse().unwrap()).unwrap();
        open("127.0.0.53");
        let keeper = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None).unwrap();
        bind(&keeper, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&keeper, 1).unwrap();
        // nobody accepts
        open("127.0.0.53");
        assert_eq!(rustix::net::accept(&keeper).map(drop), Ok(()));
        open("10.0.0.9");
        assert!(rustix::net::accept(&keeper).is_err(), "a neighbour is reached from here");
    }
}
