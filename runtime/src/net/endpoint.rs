//! A container's place on a network.

use super::error::{Error, Result};
use super::{lease, store};
use knarr_core::fsx::{self, Durability};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record::{self, Record};
use knarr_core::root::Root;
use knarr_core::spec::network::{NetworkSpec, is_host_name};
use knarr_core::spec::{Attachment, Mac, Port};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The record of a container's place on a network (`endpoints/<id>.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub container: ContainerId,
    /// The container's name.
    pub name: String,
    /// Further names under which others find it.
    pub aliases: Vec<String>,
    /// Its addresses, as long as it runs.
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    /// Of its interface; Wasm containers share one.
    pub mac: Option<[u8; 6]>,
    /// The published ports that lead to it, with their host ports.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// The addresses it is to have (`--ip`, `--ip6`).
    #[serde(default)]
    pub wished_ipv4: Option<Ipv4Addr>,
    #[serde(default)]
    pub wished_ipv6: Option<Ipv6Addr>,
    /// `--mac-address`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wished_mac: Option<Mac>,
    /// `--link-local-ip`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// The container is to come back after a power cut.
    #[serde(default)]
    pub lasting: bool,
}

impl Record for Endpoint {
    const KIND: &'static str = "endpoint";
    const VERSION: u32 = 1;
}

impl Endpoint {
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }

    /// `02:42:ac:11:00:02`; empty without an interface of its own.
    pub fn mac_text(&self) -> String {
        self.mac.map(|bytes| Mac(bytes).to_string()).unwrap_or_default()
    }

    /// Whether the container runs, as far as the record knows.
    pub fn is_up(&self) -> bool {
        self.addresses().next().is_some()
    }

    /// The address of its interface: the one it is to have, or one that goes with its first address.
    pub(super) fn mac_of_interface(&self) -> Option<[u8; 6]> {
        let by_address = || self.addresses().next().map(super::bridge::mac_of);
        self.wished_mac.map(|mac| mac.0).or_else(by_address)
    }

    /// Whether it is to have a certain address: one that may have been somebody else's just now.
    pub fn is_wished(&self) -> bool {
        self.wished_ipv4.is_some() || self.wished_ipv6.is_some()
    }

    /// All names under which others find the container, its short id included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str(), self.container.short()]
            .into_iter()
            .chain(self.aliases.iter().map(String::as_str))
    }
}

/// The containers that belong to a network, running or not, by id. Those that have addresses are running.
pub fn endpoints(root: &Root, network: &str) -> Result<Vec<Endpoint>> {
    let folder = root.network(network).endpoints();
    let mut endpoints = Vec::new();
    for file in fsx::list(&folder)?.iter().filter(|file| file.ends_with(".json")) {
        // one that vanished meanwhile is none
        endpoints.extend(record::read(&folder.join(file))?);
    }
    Ok(endpoints)
}

pub(super) fn load(root: &Root, network: &str, id: &ContainerId) -> Result<Option<Endpoint>> {
    Ok(record::read(&root.network(network).endpoint(id))?)
}

/// The caller holds the network's lock.
pub(super) fn write(root: &Root, network: &str, endpoint: &Endpoint) -> Result<()> {
    sweep(root, network)?;
    let path = root.network(network).endpoint(&endpoint.container);
    let durability = if endpoint.lasting { Durability::Disk } else { Durability::Process };
    Ok(record::write(&path, endpoint, durability)?)
}

/// Removes the record of a container that the network has no more. The caller holds the network's lock.
pub(super) fn forget(root: &Root, network: &str, id: &ContainerId) -> Result<()> {
    sweep(root, network)?;
    super::loopback::forget(root, network, id)?;
    Ok(fsx::remove_file(&root.network(network).endpoint(id))?)
}

/// Removes records that their writers were killed over: all write under the network's lock, which the caller holds.
fn sweep(root: &Root, network: &str) -> Result<()> {
    let folder = root.network(network).endpoints();
    for name in fsx::list(&folder)?.iter().filter(|name| name.starts_with(fsx::TEMPORARY)) {
        fsx::remove_file(&folder.join(name))?;
    }
    Ok(())
}

/// Makes the memberships of a container that is to come back after a power cut survive one.
pub fn keep(root: &Root, id: &ContainerId) -> Result<()> {
    for (network, endpoint) in memberships(root, id)? {
        let paths = root.network(&network.name);
        let _lock = Lock::exclusive_directory(paths.data())?;
        write(root, &network.name, &Endpoint { lasting: true, ..endpoint })?;
        // the default network is made without
        fsx::sync_up_to(&paths.record(), root.data())?;
    }
    Ok(())
}

/// Makes a container that does not run a member of a network: it gets its addresses at its start.
pub fn join(root: &Root, id: &ContainerId, name: &str, wish: &Attachment) -> Result<()> {
    let network = store::find(root, &wish.network)?;
    check(&network, wish)?;
    let paths = root.network(&network.name);
    let _lock = Lock::exclusive_directory(paths.data())?;
    if load(root, &network.name, id)?.is_some() {
        return Err(Error::JoinedTwice { network: network.name, container: id.clone() });
    }
    let endpoint = Endpoint {
        container: id.clone(),
        name: name.to_owned(),
        aliases: wish.aliases.clone(),
        ipv4: None,
        ipv6: None,
        mac: None,
        ports: Vec::new(),
        wished_ipv4: wish.ipv4,
        wished_ipv6: wish.ipv6,
        wished_mac: wish.mac,
        link_local: wish.link_local.clone(),
        lasting: false,
    };
    write(root, &network.name, &endpoint)
}

/// What a network cannot give is refused when it is asked for.
pub(super) fn check(network: &NetworkSpec, wish: &Attachment) -> Result<()> {
    if let Some(alias) = wish.aliases.iter().find(|alias| !is_host_name(alias)) {
        return Err(Error::InvalidAlias { alias: alias.clone() });
    }
    let no_family = |family| Error::NoFamily { network: network.name.clone(), family };
    if let Some(address) = wish.link_local.iter().find(|address| !is_link_local(address)) {
        return Err(Error::NotLinkLocal { address: *address });
    }
    if let Some(address) = wish.ipv4 {
        let subnet = network.ipv4.as_ref().ok_or_else(|| no_family("IPv4"))?;
        lease::check(&network.name, address.into(), subnet.subnet.into(), subnet.gateway.into())?;
    }
    if let Some(address) = wish.ipv6 {
        let subnet = network.ipv6.as_ref().ok_or_else(|| no_family("IPv6"))?;
        lease::check(&network.name, address.into(), subnet.subnet.into(), subnet.gateway.into())?;
    }
    Ok(())
}

/// RFC 3927, RFC 4291 section 2.5.6
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Ends the membership of a container that does not run.
pub fn leave(root: &Root, id: &ContainerId, network: &str) -> Result<()> {
    let paths = root.network(network);
    let _lock = match Lock::exclusive_directory(paths.data()) {
        Ok(lock) => lock,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if let Some(endpoint) = load(root, network, id)? {
        lease::release(root, network, &endpoint)?;
    }
    forget(root, network, id)
}

/// Ends all memberships of a container that is removed.
pub fn leave_all(root: &Root, id: &ContainerId) -> Result<()> {
    for (network, _) in memberships(root, id)? {
        leave(root, id, &network.name)?;
    }
    Ok(())
}

/// The networks a container belongs to, by name.
pub fn memberships(root: &Root, id: &ContainerId) -> Result<Vec<(NetworkSpec, Endpoint)>> {
    let mut found = Vec::new();
    for name in fsx::list(&root.networks())? {
        if let Some(endpoint) = load(root, &name, id)?
            && let Some(network) = store::load(root, &name)?
        {
            found.push((network, endpoint));
        }
    }
    Ok(found)
}

/// Follows a container's new name.
pub fn rename(root: &Root, id: &ContainerId, name: &str) -> Result<()> {
    for (network, _) in memberships(root, id)? {
        let _lock = Lock::exclusive_directory(root.network(&network.name).data())?;
        if let Some(endpoint) = load(root, &network.name, id)? {
            write(root, &network.name, &Endpoint { name: name.to_owned(), ..endpoint })?;
        }
    }
    Ok(())
}
