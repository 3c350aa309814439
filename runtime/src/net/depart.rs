//! Taking back what a container was given by its networks.

use super::attach::published;
use super::endpoint::{self, Endpoint};
use super::error::{Error, Result};
use super::firewall::Firewall;
use super::netlink::{Socket, link};
use super::step::{Step, failed};
use super::{bridge, lease, loopback, rootless, shared};
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec};
use knarr_core::sys;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

/// Takes back everything that a container was given, and goes on after an error. What is gone is taken back: for undoing,
/// and for what a dead monitor left.
///
/// It relies on names and leases rather than on the endpoint's record, which may not have been written.
pub fn detach(root: &Root, id: &ContainerId) -> Result<()> {
    collect(root, id, Membership::Stays)?.remove()
}

/// The quick part of [`detach`], at the end of a container: afterwards nothing leads to it, and its addresses and ports are
/// free.
///
/// `ends`: the container goes away itself, and its memberships with it.
///
/// The links are left to the kernel, which removes them with the namespace, unless another container shares that: it joined
/// while the guest lived, so its mark is here by now.
pub fn depart(root: &Root, id: &ContainerId, ends: bool) -> Result<Links> {
    let membership = if ends { Membership::Ends } else { Membership::Stays };
    let links = collect(root, id, membership)?;
    match root.container(id).network_shared().exists() {
        true => Ok(links),
        false => Ok(Links::default()),
    }
}

fn collect(root: &Root, id: &ContainerId, membership: Membership) -> Result<Links> {
    let mut links = Links::default();
    let mut result = Ok(());
    let memberships = endpoint::memberships(root, id)?;
    // without an address there is nothing of the kernel's either
    let is_bridged = |(network, endpoint): &(NetworkSpec, Endpoint)| {
        let leased = || lease::of(root, &network.name, id).map(|addresses| !addresses.is_empty());
        network.driver == Driver::Bridge && (endpoint.is_up() || leased().unwrap_or(true))
    };
    if rootless::is_outside() && memberships.iter().any(is_bridged) && rootless::detach(root, id)? {
        return Ok(links);
    }
    for (network, endpoint) in memberships {
        let leases = Leases::Release;
        let leave = Leave { root, network: &network, namespace: None, leases, membership };
        result = result.and(leave.depart(endpoint, &mut links));
    }
    for network in fsx::list(&root.container(id).kept_leases())? {
        result = result.and(release_kept(root, &network, id));
    }
    result.map(|()| links)
}

/// A network that has been removed has taken its leases along.
fn release_kept(root: &Root, network: &str, id: &ContainerId) -> Result<()> {
    match Lock::exclusive_directory(root.network(network).data()) {
        Ok(_lock) => lease::release_all(root, network, id),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Links of a container that has ended. Removing one takes the kernel tens of milliseconds, in which it waits for all
/// processors; nobody else has to wait.
///
/// Meanwhile the address may be another container's. That is no trouble: free ones are given out in turn, and one that is
/// wished for has the same address on the wire as before.
#[derive(Debug, Default)]
#[must_use = "a namespace that somebody shares keeps them"]
pub struct Links(Vec<(String, String)>);

impl Links {
    pub fn remove(self) -> Result<()> {
        let mut result = Ok(());
        for (network, link) in &self.0 {
            let removed = Socket::route().and_then(|mut socket| link::remove(&mut socket, link));
            result = result.and(removed.map_err(|e| failed(Step::Link, network, e)));
        }
        result
    }
}

/// What becomes of the addresses of a container that leaves a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leases {
    Release,
    /// Nobody else gets them before the container ends: a Wasm guest that goes on living in its namespace may have sockets
    /// that are bound to them, and these would be the next owner's.
    Keep,
}

/// What becomes of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Stays,
    Ends,
}

/// A container's departure from one network.
pub(super) struct Leave<'a> {
    pub root: &'a Root,
    pub network: &'a NetworkSpec,
    /// The guest's, where it lives on.
    pub namespace: Option<BorrowedFd<'a>>,
    pub leases: Leases,
    pub membership: Membership,
}

impl Leave<'_> {
    pub fn depart(&self, endpoint: Endpoint, links: &mut Links) -> Result<()> {
        let Self { root, network, .. } = *self;
        let (name, id) = (&network.name, endpoint.container.clone());
        let _lock = Lock::exclusive_directory(root.network(name).data())?;
        let addresses: Vec<IpAddr> = match endpoint.is_up() {
            true => endpoint.addresses().collect(),
            false => lease::of(root, name, &id)?,
        };
        if addresses.is_empty() && !endpoint.is_up() {
            return Ok(());
        }
        let mut result = loopback::forget(root, name, &id).map_err(Error::from);
        // nothing of the kernel's is there, or what was has gone with the user's networks
        if network.driver == Driver::Loopback || rootless::is_outside() {
            return result.and(self.bring_down(endpoint));
        }
        if !endpoint.ports.is_empty() || lease::returns_soon(network, &endpoint) {
            let ports = published(&endpoint);
            let removed = Firewall::open(bridge::mark(root)).and_then(|mut firewall| {
                firewall.remove(&[], &ports)?;
                firewall.end_flows(&|address| addresses.contains(&address));
                Ok(())
            });
            result = result.and(removed.map_err(|e| failed(Step::Publish, name, e)));
            // whoever has the address next may be of the other engine, and have another one on the wire
            let forgotten = Socket::route().and_then(|mut s| {
                bridge::forget_neighbours(&mut s, &bridge::name(root, network), &addresses)
            });
            result = result.and(forgotten.map_err(|e| failed(Step::Address, name, e)));
        }
        // without a record it may be either
        links.0.push((name.clone(), bridge::link_of(network, &id)));
        if endpoint.mac.is_none() {
            let withdrawn = shared::withdraw(root, network, self.namespace, &addresses);
            result = result.and(withdrawn);
        }
        if result.is_ok() { self.bring_down(endpoint) } else { result }
    }

    /// Gives the addresses back and says so in the record, or removes it. The caller holds the network's lock.
    fn bring_down(&self, endpoint: Endpoint) -> Result<()> {
        let Self { root, network, .. } = *self;
        match self.leases {
            Leases::Release if endpoint.is_up() => lease::release(root, &network.name, &endpoint)?,
            Leases::Release => lease::release_all(root, &network.name, &endpoint.container)?,
            Leases::Keep => {
                let kept = root.container(&endpoint.container).kept_leases();
                sys::create_private_dir_all(&kept)?;
                fsx::write(&kept.join(&network.name), "")?;
            }
        }
        if self.membership == Membership::Ends {
            return endpoint::forget(root, &network.name, &endpoint.container);
        }
        let down = Endpoint { ipv4: None, ipv6: None, mac: None, ports: Vec::new(), ..endpoint };
        endpoint::write(root, &network.name, &down)
    }
}
