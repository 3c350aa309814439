//! Taking back what a container was given by its networks.

use super::attach::{Step, failed, published};
use super::endpoint::{self, Endpoint};
use super::error::{Error, Result};
use super::firewall::Firewall;
use super::netlink::{Socket, link};
use super::{bridge, lease, loopback, rootless, shared};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec};

/// Takes back everything that a container was given, and goes on after an error. What is gone is taken back: for undoing,
/// and for what a dead monitor left.
///
/// It relies on names and leases rather than on the endpoint's record, which may not have been written.
pub fn detach(root: &Root, id: &ContainerId) -> Result<()> {
    collect(root, id)?.remove()
}

/// The quick part of [`detach`], at the end of a container: afterwards nothing leads to it, and its addresses and ports are
/// free.
///
/// The links are left to the kernel, which removes them with the namespace, unless another container shares that: it joined
/// while the guest lived, so its mark is here by now.
pub fn depart(root: &Root, id: &ContainerId) -> Result<Links> {
    let links = collect(root, id)?;
    match root.container(id).network_shared().exists() {
        true => Ok(links),
        false => Ok(Links::default()),
    }
}

fn collect(root: &Root, id: &ContainerId) -> Result<Links> {
    let mut links = Links::default();
    let mut result = Ok(());
    let memberships = endpoint::memberships(root, id)?;
    let bridged = memberships.iter().any(|(network, _)| network.driver == Driver::Bridge);
    if bridged && rootless::is_outside() && rootless::detach(root, id)? {
        return Ok(links);
    }
    for (network, endpoint) in memberships {
        result = result.and(depart_from(root, &network, endpoint, &mut links));
    }
    result.map(|()| links)
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

pub(super) fn depart_from(
    root: &Root,
    network: &NetworkSpec,
    endpoint: Endpoint,
    links: &mut Links,
) -> Result<()> {
    let (name, id) = (&network.name, endpoint.container.clone());
    let _lock = Lock::exclusive_directory(root.network(name).data())?;
    let addresses = match endpoint.is_up() {
        true => endpoint.addresses().collect(),
        false => lease::of(root, name, &id)?,
    };
    if addresses.is_empty() && !endpoint.is_up() {
        return Ok(());
    }
    let mut result = loopback::forget(root, name, &id).map_err(Error::from);
    // nothing of the kernel's is there, or what was has gone with the user's networks
    if network.driver == Driver::Loopback || rootless::is_outside() {
        return result.and(bring_down(root, name, endpoint));
    }
    if !endpoint.ports.is_empty() {
        let ports = published(&endpoint);
        let removed = Firewall::open(bridge::mark(root)).and_then(|mut f| f.remove(&[], &ports));
        result = result.and(removed.map_err(|e| failed(Step::Publish, name, e)));
    }
    // without a record it may be either
    links.0.push((name.clone(), bridge::link_of(network, &id)));
    if endpoint.mac.is_none() {
        result = result.and(shared::withdraw(root, network, &addresses));
    }
    if result.is_ok() { bring_down(root, name, endpoint) } else { result }
}

/// Gives the addresses back and says so in the record. The caller holds the network's lock.
fn bring_down(root: &Root, network: &str, endpoint: Endpoint) -> Result<()> {
    match endpoint.is_up() {
        true => lease::release(root, network, &endpoint)?,
        false => lease::release_all(root, network, &endpoint.container)?,
    }
    let down = Endpoint { ipv4: None, ipv6: None, mac: None, ports: Vec::new(), ..endpoint };
    endpoint::write(root, network, &down)
}
