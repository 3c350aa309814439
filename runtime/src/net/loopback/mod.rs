//! Networks on the host's loopback, for hosts without bridges and for users who may not make one: Wasm containers keep
//! their names and their addresses of the network, and each of their ports is some port of 127.0.0.1.
//!
//! A guest that binds its address gets a free port of the loopback, and its monitor writes down which
//! (`endpoints/<id>.ports`). A neighbour that connects to the address asks its own monitor where that is. All of this
//! happens in the functions that a guest has for sockets: they are what keeps networks apart here, and what keeps a guest
//! from the host's loopback. Other programs of the host can connect to these ports as to any other of 127.0.0.1.
//!
//! A connection comes from an address of 127.0.0.0/8 that ends as the client's own does ([`source`]), from which the
//! server's side sees whose it is ([`of_source`]). Where the host has only 127.0.0.1 (macOS), clients look alike.

use super::names::Table;
use super::names::channel::Request;
use ipnet::{IpNet, Ipv4Net};
use knarr_core::fsx::Durability;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record::{self, Record};
use knarr_core::root::Root;
use knarr_core::spec::Protocol;
use knarr_core::spec::network::{Driver, NetworkSpec};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The ports that a container listens on, and where each is reached (`endpoints/<id>.ports`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ports {
    ports: Vec<Mapped>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mapped {
    protocol: Protocol,
    port: u16,
    at: SocketAddr,
}

impl Record for Ports {
    const KIND: &'static str = "endpoint's ports";
    const VERSION: u32 = 1;
}

/// Where the containers of some networks are reached.
#[derive(Debug)]
pub(crate) struct Mappings {
    root: Root,
    container: ContainerId,
    networks: Vec<NetworkSpec>,
    own: Ports,
}

impl Mappings {
    /// `None` if the loopback carries none of these networks.
    pub fn of(root: &Root, container: &ContainerId, networks: &[NetworkSpec]) -> Option<Self> {
        let networks: Vec<NetworkSpec> =
            networks.iter().filter(|n| n.driver == Driver::Loopback).cloned().collect();
        let (root, container) = (root.clone(), container.clone());
        (!networks.is_empty()).then(|| Self { root, container, networks, own: Ports::default() })
    }

    /// In place of others, on whose networks the container's ports were written down.
    pub fn with_ports_of(self, others: Option<Self>) -> Self {
        let own = others.map(|others| others.own).unwrap_or_default();
        let new = Self { own, ..self };
        // as with a port that is published: who cannot find it is refused
        let _ = new.write();
        new
    }

    /// The answer to a guest's request.
    pub fn answer(&mut self, request: &Request, table: &Table) -> Option<SocketAddr> {
        match *request {
            Request::Publish { protocol, inside, outside } => {
                self.publish(protocol, inside, outside)
            }
            Request::Find { protocol, inside } => self.find(protocol, inside, table),
        }
    }

    fn publish(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        outside: SocketAddr,
    ) -> Option<SocketAddr> {
        let port = inside.port();
        self.own.ports.retain(|m| (m.protocol, m.port) != (protocol, port));
        self.own.ports.push(Mapped { protocol, port, at: outside });
        self.write().ok()?;
        Some(outside)
    }

    fn write(&self) -> Result<(), record::Error> {
        for network in &self.networks {
            // whoever holds it takes unfinished records away
            let _lock = Lock::exclusive_directory(self.root.network(&network.name).data())?;
            let path = ports(&self.root, &network.name, &self.container);
            record::write(&path, &self.own, Durability::Process)?;
        }
        Ok(())
    }

    fn find(&self, protocol: Protocol, inside: SocketAddr, table: &Table) -> Option<SocketAddr> {
        let (network, endpoint) = table.find(inside.ip())?;
        reached_at(&self.root, &network, &endpoint.container, (protocol, inside.port()))
    }
}

/// Where a port of a container on a network is.
pub(crate) fn reached_at(
    root: &Root,
    network: &str,
    container: &ContainerId,
    port: (Protocol, u16),
) -> Option<SocketAddr> {
    let Ports { ports } = record::read(&ports(root, network, container)).ok()??;
    ports.iter().find(|m| (m.protocol, m.port) == port).map(|mapped| mapped.at)
}

fn ports(root: &Root, network: &str, container: &ContainerId) -> PathBuf {
    root.network(network).endpoint(container).with_extension("ports")
}

/// Forgets the ports of a container that has ended.
pub(super) fn forget(
    root: &Root,
    network: &str,
    container: &ContainerId,
) -> knarr_core::fsx::Result<()> {
    knarr_core::fsx::remove_file(&ports(root, network, container))
}

/// The address of the host's loopback from which the container with this address connects.
pub(crate) fn source(own: Ipv4Addr) -> Ipv4Addr {
    let [_, b, c, d] = own.octets();
    Ipv4Addr::new(127, b, c, d)
}

/// The address in these subnets of whoever connects from this address of the loopback; `None`: somebody else.
pub(crate) fn of_source(source: IpAddr, subnets: &[IpNet]) -> Option<IpAddr> {
    let IpAddr::V4(ip) = source.to_canonical() else { return None };
    let [127, b, c, d] = ip.octets() else { return None };
    let of = |subnet: &Ipv4Net| {
        let address = Ipv4Addr::new(subnet.network().octets()[0], b, c, d);
        subnet.contains(&address).then_some(address.into())
    };
    subnets.iter().find_map(|subnet| match subnet {
        IpNet::V4(subnet) if ip != Ipv4Addr::LOCALHOST => of(subnet),
        _ => None,
    })
}
