//! What a Wasm guest's process has to know of its container's networks: when it starts, and again when they change.
//!
//! The news travel over a pair of sockets of their own. Nobody waits for an answer, and no thread for a message: the guest's
//! side looks before each decision, and a server's event loop watches the socket.

use super::attach::memberships_in_order;
use super::error::Result;
use super::{Endpoint, store};
use crate::state;
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

/// Listeners in one message, at most (`SCM_MAX_FD` is 253).
const LISTENERS: usize = 128;
/// The longest message.
const LONGEST: usize = 128 << 10;

/// A container's networks at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// The container's addresses with their subnets, those with a way out first; empty on the host's network.
    pub own: Vec<(IpAddr, IpNet)>,
    /// All subnets of its networks.
    pub subnets: Vec<IpNet>,
    /// The subnets of this root's other networks.
    pub foreign: Vec<IpNet>,
    /// It has networks of its own, and none of them leads out.
    pub internal: bool,
}

impl Surroundings {
    pub fn of(
        root: &Root,
        spec: &ContainerSpec,
        endpoints: &[(NetworkSpec, Endpoint)],
    ) -> Result<Self> {
        let has_own = matches!(spec.network, NetworkMode::Networks(_)) || !endpoints.is_empty();
        if !has_own {
            return Ok(Self::default());
        }
        let mut ordered: Vec<_> = endpoints.iter().collect();
        ordered.sort_by_key(|(network, _)| network.internal);
        let own = ordered.into_iter().flat_map(|(network, endpoint)| {
            let subnet = |ip: IpAddr| store::subnets(network).find(|s| s.contains(&ip));
            endpoint.addresses().filter_map(move |ip| Some((ip, subnet(ip)?)))
        });
        let all = store::list(root)?;
        let others = all.iter().filter(|other| endpoints.iter().all(|(own, _)| own.id != other.id));
        Ok(Self {
            own: own.collect(),
            subnets: endpoints.iter().flat_map(|(network, _)| store::subnets(network)).collect(),
            foreign: others.flat_map(store::subnets).collect(),
            internal: endpoints.iter().all(|(network, _)| network.internal),
        })
    }

    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.addresses().any(|own| own == ip)
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.own.iter().map(|(ip, _)| *ip)
    }

    /// The first address of a family.
    pub fn of_family(&self, like: IpAddr) -> Option<IpAddr> {
        self.addresses().find(|ip| ip.is_ipv4() == like.is_ipv4())
    }
}

/// Where a running container has its place now: on its own networks, or on those of the container whose it shares.
pub(crate) fn places_of(root: &Root, spec: &ContainerSpec) -> Result<Vec<(NetworkSpec, Endpoint)>> {
    let mut places = match &spec.network {
        // that one may be gone: so are its networks
        NetworkMode::Container(other) => match state::load_spec(root, other) {
            Ok(spec) => memberships_in_order(root, &spec)?,
            Err(_) => Vec::new(),
        },
        _ => memberships_in_order(root, spec)?,
    };
    places.retain(|(_, endpoint)| endpoint.is_up());
    Ok(places)
}

/// The monitor's end and the guest's, neither of which ever waits.
pub(crate) fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Tells a guest where it is now, and hands it listeners for its new addresses, each with the container's port: a guest that
/// is confined may not use low ports. [`io::ErrorKind::WouldBlock`]: it has not taken notice of many earlier news.
pub(crate) fn tell(
    guest: impl AsFd,
    now: &Surroundings,
    listeners: &[(u16, TcpListener)],
) -> io::Result<()> {
    let ports: Vec<u16> = listeners.iter().map(|(port, _)| *port).collect();
    let text = serde_json::to_vec(&(now, ports)).map_err(io::Error::from)?;
    if listeners.len() > LISTENERS || text.len() > LONGEST {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    let sockets: Vec<_> = listeners.iter().map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        attached.push(SendAncillaryMessage::ScmRights(&sockets));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(guest, &[IoSlice::new(&text)], &mut attached, flags)?;
    Ok(())
}

/// The oldest news that the guest has not heard.
pub(crate) fn hear(
    monitor: impl AsFd,
) -> Option<(Surroundings, impl Iterator<Item = (u16, TcpListener)>)> {
    let (text, sockets) = loop {
        // almost always there is nothing, which costs no memory then
        match rustix::net::recv(&monitor, &mut [0], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((0, _)) => return None,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        let mut text = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS))];
        let mut attached = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        match recvmsg(&monitor, &mut [IoSliceMut::new(&mut text)], &mut attached, flags) {
            Ok(received) if !received.flags.contains(ReturnFlags::TRUNC) => {
                let sockets: Vec<OwnedFd> = attached
                    .drain()
                    .filter_map(|message| match message {
                        RecvAncillaryMessage::ScmRights(all) => Some(all),
                        _ => None,
                    })
                    .flatten()
                    .collect();
                text.truncate(received.bytes);
                break (text, sockets);
            }
            Err(Errno::INTR) => {}
            _ => return None,
        }
    };
    let (now, ports): (_, Vec<u16>) = serde_json::from_slice(&text).ok()?;
    Some((now, ports.into_iter().zip(sockets.into_iter().map(TcpListener::from))))
}
