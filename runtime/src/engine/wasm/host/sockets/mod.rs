//! The guest's sockets: which of its addresses are really whose.
//!
//! WASI's own socket functions do the work; the ones that name an address are wrapped ([`p2`], [`p3`]), so that the guest
//! sees a host of its own: its container's addresses and a loopback that nobody shares. What "its own" is depends on
//! where the process is ([`Place`]). Below the wrapping, wasmtime asks before each use of an address
//! ([`Place::permits`]): a second look, by what is really about to happen.

/// How the functions of one generation of WASI fail, by its type of error codes, which has the same names in all.
macro_rules! errors {
    ($code:ident) => {
        type SocketError = wasmtime_wasi::TrappableError<$code>;
        type Outcome<T> = wasmtime::Result<(Result<T, $code>,)>;

        impl From<super::Refusal> for SocketError {
            fn from(refusal: super::Refusal) -> Self {
                match refusal {
                    super::Refusal::Denied => $code::AccessDenied,
                    super::Refusal::Invalid => $code::InvalidArgument,
                    super::Refusal::NotOwn => $code::AddressNotBindable,
                    super::Refusal::Refused => $code::ConnectionRefused,
                    super::Refusal::Unreachable => $code::RemoteUnreachable,
                }
                .into()
            }
        }

        /// A function's result as the component sees it: an error of its own, or a trap.
        fn outcome<T>(result: Result<T, SocketError>) -> Outcome<T> {
            match result {
                Ok(value) => Ok((Ok(value),)),
                Err(error) => Ok((Err(error.downcast()?),)),
            }
        }
    };
}

mod carried;
mod current;
pub(in crate::engine::wasm) mod p1;
pub(in crate::engine::wasm) mod p2;
pub(in crate::engine::wasm) mod p3;
mod published;
mod relay;
mod shared;

pub(in crate::engine::wasm) use carried::Carried;
pub(in crate::engine::wasm) use current::Current;
pub(in crate::engine::wasm) use published::{Published, first_free};
pub(in crate::engine::wasm) use shared::Shared;

use super::denial::Denials;
use crate::net::names::Allowed;
use crate::net::{Surroundings, is_loopback};
use ipnet::IpNet;
use knarr_core::spec::Protocol;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Resource;
use wasmtime_wasi::sockets::SocketAddrUse;

/// Peers that were heard of, and may be answered, at most.
const HEARD: usize = 100_000;

/// Why a socket cannot do what the guest wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::wasm) enum Refusal {
    /// The network forbids it.
    Denied,
    /// No socket can have this address.
    Invalid,
    /// Not an address of the container.
    NotOwn,
    /// Nobody listens there.
    Refused,
    /// The container has no address of this family.
    Unreachable,
}

/// Where the guest's process is.
#[derive(Debug)]
pub(in crate::engine::wasm) enum Where {
    /// On the host's network, or in a network namespace that is this container's alone.
    Alone(Published),
    /// In a network namespace with neighbours.
    Shared(Shared),
    /// On the host's network, which carries the container's own as ports of the loopback.
    Carried(Carried),
}

impl Where {
    /// Where to send what is allowed.
    async fn target(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Result<SocketAddr, Refusal> {
        match self {
            Self::Alone(_) => Ok(wanted),
            Self::Shared(shared) => shared.target(now, protocol, wanted),
            Self::Carried(carried) => carried.target(now, protocol, wanted).await,
        }
    }
}

/// The guest's place on its networks.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Place {
    pub at: Where,
    pub current: Current,
    pub limits: Limits,
}

/// Where to the guest may connect.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Limits {
    /// `--allow-outbound`
    pub only: Option<Arc<Allowed>>,
    pub denials: Arc<Denials>,
    /// UDP has no connections: whoever sent something may be answered, even if the list does not have it.
    pub heard: Mutex<HashSet<SocketAddr>>,
}

impl Limits {
    /// Whether the guest may send to this address, as it knows it.
    fn permit(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        to: SocketAddr,
    ) -> Result<(), Refusal> {
        let ip = to.ip().to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        let own = within(&now.subnets);
        let forbidden = !own && (within(&now.foreign) || now.internal);
        let unlisted = self.only.as_ref().is_some_and(|only| !only.permits(ip, to.port()));
        if !forbidden && (!unlisted || self.was_heard(protocol, to)) {
            return Ok(());
        }
        self.denials.note(&format!("{protocol} to {to}"));
        Err(Refusal::Denied)
    }

    fn was_heard(&self, protocol: Protocol, from: SocketAddr) -> bool {
        protocol == Protocol::Udp && lock(&self.heard).contains(&from)
    }

    fn hear(&self, from: SocketAddr) {
        if self.only.is_some() {
            let mut heard = lock(&self.heard);
            if heard.len() < HEARD {
                heard.insert(from);
            }
        }
    }
}

impl Place {
    /// Whether socket functions have to be wrapped.
    pub fn rewrites(&self) -> bool {
        !matches!(&self.at, Where::Alone(published) if published.is_empty())
    }

    /// Where to bind instead of what the guest wants.
    fn outside(&self, protocol: Protocol, wanted: SocketAddr) -> Result<SocketAddr, Refusal> {
        if !is_possible(protocol, wanted.ip()) {
            return Err(Refusal::Invalid);
        }
        let bound = match &self.at {
            Where::Alone(published) => Ok(published.outside(protocol, wanted)),
            Where::Shared(shared) => shared.outside(&self.current.get(), wanted),
            Where::Carried(carried) => carried.outside(&self.current.get(), protocol, wanted),
        };
        if bound == Err(Refusal::Denied) {
            self.limits.denials.note(&format!("listening on {wanted} ({protocol})"));
        }
        bound
    }

    /// What the guest wanted is bound at last.
    async fn bound(&self, protocol: Protocol, wanted: SocketAddr, outside: SocketAddr) {
        match &self.at {
            Where::Alone(_) => {}
            Where::Shared(shared) => shared.bound(protocol, wanted, outside),
            Where::Carried(carried) => {
                carried.bound(&self.current.get(), protocol, wanted, outside).await;
            }
        }
    }

    /// The guest listens on a socket that it has bound.
    fn listens(self: &Arc<Self>, at: SocketAddr) {
        if let Where::Shared(shared) = &self.at
            && shared.is_everywhere(Protocol::Tcp, at)
        {
            if is_loopback(at.ip()) {
                self.limits.denials.tell(&format!(
                    "listening on [::]:{} (tcp): only the container itself gets there, which has no IPv6 address",
                    at.port()
                ));
            }
            let loopback = shared.private(at.ip());
            relay::start(self.clone(), shared.relays.clone(), at, loopback);
        }
    }

    /// What the guest is to see of an address it has bound.
    fn inside(&self, protocol: Protocol, bound: SocketAddr) -> SocketAddr {
        match &self.at {
            Where::Alone(published) => published.inside(protocol, bound),
            Where::Shared(shared) => shared.inside(bound),
            Where::Carried(carried) => carried.inside(&self.current.get(), protocol, bound),
        }
    }

    /// What the guest is to see of an address that belongs to somebody else.
    fn peer(&self, protocol: Protocol, peer: SocketAddr) -> SocketAddr {
        match &self.at {
            Where::Alone(_) => peer,
            Where::Shared(shared) => shared.peer(protocol, peer),
            Where::Carried(carried) => carried.peer(&self.current.get(), protocol, peer),
        }
    }

    /// Where to send what the guest sends to this address; an error, and a line in the log, if it may not.
    pub async fn target(
        &self,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Result<SocketAddr, Refusal> {
        let ip = wanted.ip();
        if !is_possible(protocol, ip) {
            return Err(Refusal::Invalid);
        }
        let now = self.current.get();
        let is_loopback = ip.is_loopback();
        let spared = match &self.at {
            Where::Alone(_) => is_loopback && self.limits.only.is_none(),
            Where::Shared(_) | Where::Carried(_) => is_loopback || now.is_own(ip),
        };
        if !spared {
            self.limits.permit(&now, protocol, wanted)?;
        }
        self.at.target(&now, protocol, wanted).await
    }

    /// Whether the guest has no right to this address of a socket any more.
    pub fn has_lost(&self, address: IpAddr) -> bool {
        match &self.at {
            Where::Shared(shared) => {
                shared.private(address) != Some(address) && !self.current.get().is_own(address)
            }
            _ => false,
        }
    }

    /// The address to bind before sending to a [`Self::target`]: without it the kernel would take any of the
    /// namespace's.
    pub fn source(&self, target: SocketAddr) -> Result<Option<SocketAddr>, Refusal> {
        match &self.at {
            Where::Alone(_) => Ok(None),
            Where::Shared(shared) => shared.source(&self.current.get(), target).map(Some),
            Where::Carried(carried) => Ok(carried.source(target)),
        }
    }

    /// The last word, on what the kernel is about to be asked.
    pub fn permits(&self, address: SocketAddr, reason: SocketAddrUse) -> bool {
        if matches!(reason, SocketAddrUse::UdpReceive) {
            self.limits.hear(self.peer(Protocol::Udp, address));
        }
        match &self.at {
            Where::Alone(_) => {
                let protocol = match reason {
                    SocketAddrUse::TcpConnect => Protocol::Tcp,
                    SocketAddrUse::UdpSend => Protocol::Udp,
                    _ => return true,
                };
                self.limits.only.is_none()
                    || self.limits.permit(&self.current.get(), protocol, address).is_ok()
            }
            Where::Shared(shared) => shared.permits(&self.current.get(), address, reason),
            // every address of the host's loopback that gets here was looked up
            Where::Carried(_) => true,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a socket of WASI's can be bound or connected to this address (`wasi:sockets`: `bind` and `connect`): addresses of
/// IPv4 are not written as ones of IPv6, and TCP has but one peer.
fn is_possible(protocol: Protocol, ip: IpAddr) -> bool {
    let is_plain = match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => v6.to_ipv4().is_none() || v6.is_unspecified() || v6.is_loopback(),
    };
    let is_unicast = !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
    is_plain && (is_unicast || protocol == Protocol::Udp)
}

/// Why a guest cannot bind an address that it does not have.
fn not_own(now: &Surroundings, ip: IpAddr) -> Refusal {
    match now.subnets.iter().any(|subnet| subnet.contains(&ip)) {
        // a neighbour's, or to be one's
        true => Refusal::Denied,
        false => Refusal::NotOwn,
    }
}

fn unspecified(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// All addresses of a family, any port.
fn any(v4: bool) -> SocketAddr {
    match v4 {
        true => (Ipv4Addr::UNSPECIFIED, 0).into(),
        false => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// The same resource for another call.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// The result of work that never waits, whatever its type says.
fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(work).poll(&mut context) {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    }
}
