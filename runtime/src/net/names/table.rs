//! The names on a container's networks, as the endpoints' records have them.

use super::allowed::canonical;
use crate::net::{self, Endpoint};
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::Link;
use knarr_core::spec::network::NetworkSpec;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The clock of some file systems: a folder that changed this recently may change again without showing it.
const GRAIN: Duration = Duration::from_millis(20);

/// The names on some networks. Records are read again when their folder has changed.
#[derive(Debug)]
pub struct Table {
    root: Root,
    networks: Vec<Network>,
    /// Names that only this container has for others, and their short ids.
    links: HashMap<String, String>,
    /// Several containers of one name take turns in being the first.
    turn: Cell<usize>,
}

#[derive(Debug)]
struct Network {
    name: String,
    folder: PathBuf,
    subnets: Vec<IpNet>,
    known: RefCell<Known>,
}

/// What the records said when they were last read.
#[derive(Debug, Default)]
struct Known {
    /// The folder's time, if it was old enough to tell the next change.
    changed: Option<SystemTime>,
    endpoints: Vec<Endpoint>,
    /// Of the containers that run.
    names: HashMap<String, Vec<usize>>,
}

impl Table {
    /// The names that a container on these networks can look up.
    pub fn open(root: &Root, networks: &[NetworkSpec]) -> Self {
        let network = |network: &NetworkSpec| Network {
            name: network.name.clone(),
            folder: root.network(&network.name).endpoints(),
            subnets: net::subnets(network).collect(),
            known: RefCell::default(),
        };
        let networks = networks.iter().map(network).collect();
        let (root, links) = (root.clone(), HashMap::new());
        Self { root, networks, links, turn: Cell::new(0) }
    }

    /// Knows other containers under further names.
    #[must_use]
    pub fn linking(mut self, links: &[Link]) -> Self {
        let pair = |link: &Link| (canonical(&link.alias), link.container.short().to_owned());
        self.links = links.iter().map(pair).collect();
        self
    }

    /// The addresses of all running containers that have this name, in a new order each time; `None`: there is no such
    /// container. Upper and lower case are the same; a dot may follow, or the network's name after a dot.
    pub fn lookup(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = canonical(name);
        let name = self.links.get(&name).cloned().unwrap_or(name);
        let mut found = Vec::new();
        for network in &self.networks {
            let known = network.known(&self.root);
            let with_network = name
                .strip_suffix(&network.name.to_ascii_lowercase())
                .and_then(|rest| rest.strip_suffix('.'));
            let wanted = [Some(name.as_str()), with_network];
            let at = wanted.into_iter().flatten().filter_map(|name| known.names.get(name));
            for at in at.flatten() {
                found.push(known.endpoints[*at].addresses().collect::<Vec<_>>());
            }
        }
        if found.is_empty() {
            return None;
        }
        let turn = self.turn.get().wrapping_add(1);
        self.turn.set(turn);
        let count = found.len();
        found.rotate_left(turn % count);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.into_iter().flatten() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Some(addresses)
    }

    /// `name.network` of the container that has this address.
    pub fn reverse(&self, address: IpAddr) -> Option<String> {
        self.find(address).map(|(network, endpoint)| format!("{}.{network}", endpoint.name))
    }

    /// Whether the address is one of these networks'.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|n| n.subnets.iter().any(|subnet| subnet.contains(&address)))
    }

    /// The running container that has this address, and its network.
    pub(crate) fn find(&self, address: IpAddr) -> Option<(String, Endpoint)> {
        self.networks.iter().find_map(|network| {
            let known = network.known(&self.root);
            let endpoint =
                known.endpoints.iter().find(|e| e.addresses().any(|ip| ip == address))?;
            Some((network.name.clone(), endpoint.clone()))
        })
    }
}

impl Network {
    fn known(&self, root: &Root) -> std::cell::Ref<'_, Known> {
        let changed = self.folder.metadata().and_then(|m| m.modified()).ok();
        if changed.is_none() || self.known.borrow().changed != changed {
            // while a record cannot be read, what was known stays
            if let Ok(endpoints) = net::endpoints(root, &self.name) {
                let is_settled = |at: &SystemTime| at.elapsed().is_ok_and(|age| age > GRAIN);
                *self.known.borrow_mut() = Known::new(endpoints, changed.filter(is_settled));
            }
        }
        self.known.borrow()
    }
}

impl Known {
    fn new(endpoints: Vec<Endpoint>, changed: Option<SystemTime>) -> Self {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, endpoint) in endpoints.iter().enumerate().filter(|(_, e)| e.is_up()) {
            for name in endpoint.names() {
                let owners = names.entry(canonical(name)).or_default();
                if !owners.contains(&at) {
                    owners.push(at);
                }
            }
        }
        Self { changed, endpoints, names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NewNetwork;
    use knarr_core::fsx::Durability;
    use knarr_core::id::ContainerId;
    use knarr_core::record;
    use knarr_core::spec::network::Driver;

    fn put(root: &Root, network: &str, name: &str, aliases: &[&str], ip: &str) -> ContainerId {
        let container = ContainerId::random();
        let endpoint = Endpoint {
            container: container.clone(),
            name: name.into(),
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            ipv4: ip.parse().ok(),
            ipv6: Some(format!("fd00::{name}").parse().unwrap_or(std::net::Ipv6Addr::UNSPECIFIED))
                .filter(|ip| !ip.is_unspecified()),
            mac: None,
            ports: Vec::new(),
            wished_ipv4: None,
            wished_ipv6: None,
            wished_mac: None,
            link_local: Vec::new(),
            lasting: false,
        };
        let path = root.network(network).endpoint(&container);
        record::write(&path, &endpoint, Durability::Process).unwrap();
        container
    }

    #[test]
    fn who_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        // without bridges in the kernel
        let driver = Some(Driver::Loopback);
        let new = |name: &str| NewNetwork { name: name.into(), driver, ..NewNetwork::default() };
        let networks = ["one", "Two"].map(|name| net::create(&root, new(name)).unwrap());
        let table = Table::open(&root, &networks);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(table.lookup("web"), None);
        let id = put(&root, "one", "Web", &["www", "pool"], "10.0.0.2");
        put(&root, "one", "web2", &["pool"], "10.0.0.3");
        put(&root, "Two", "a", &["pool"], "10.1.0.2");
        put(&root, "Two", "stopped", &[], "");
        for name in ["web", "WEB.", "www", "web.one", "www.One.", id.short()] {
            assert_eq!(table.lookup(name), Some(vec![ip("10.0.0.2")]), "{name}");
        }
        for name in ["web.two", "webb", "web.on", "one", "", ".", "stopped", "web..one"] {
            assert_eq!(table.lookup(name), None, "{name}");
        }
        assert_eq!(table.lookup("a.two"), Some(vec![ip("10.1.0.2"), ip("fd00::a")]));
        // all replicas, each of them first in its turn
        let firsts: std::collections::HashSet<IpAddr> = (0..3)
            .map(|_| {
                let found = table.lookup("pool").unwrap();
                assert_eq!(found.len(), 4);
                found[0]
            })
            .collect();
        assert_eq!(firsts.len(), 3);
        assert_eq!(table.reverse(ip("10.0.0.3")).as_deref(), Some("web2.one"));
        assert_eq!(table.reverse(ip("10.0.0.9")), None);
        fsx_remove(&root, &id);
        assert_eq!(table.lookup("web"), None);
    }

    fn fsx_remove(root: &Root, id: &ContainerId) {
        knarr_core::fsx::remove_file(&root.network("one").endpoint(id)).unwrap();
    }
}
