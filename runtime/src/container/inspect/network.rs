//! The part of the document about networks.

use super::Result;
use super::document::{Network, NetworkSettings, PortBinding, WishedAddresses};
use crate::container::list::{host_address, network_name};
use crate::net::{self, Endpoint};
use crate::state::{self, Container};
use knarr_core::nil;
use knarr_core::root::Root;
use knarr_core::spec::network::{DEFAULT_NETWORK, NetworkSpec};
use knarr_core::spec::{EngineKind, Link, NetworkMode, Port};
use std::collections::BTreeMap;

pub(super) fn settings(root: &Root, container: &Container) -> Result<NetworkSettings> {
    let Container { spec, state } = container;
    let mut ports: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    if state.is_alive() {
        for (port, protocol) in &spec.exposed {
            ports.insert(format!("{port}/{protocol}"), None);
        }
        for port in &state.ports {
            let bindings = ports.entry(port_key(port)).or_default().get_or_insert_default();
            bindings.push(PortBinding {
                host_ip: host_address(port).to_string(),
                host_port: port.host_port.map(|port| port.to_string()).unwrap_or_default(),
            });
        }
    }
    let NetworkMode::Networks(_) = &spec.network else {
        let networks = match &spec.network {
            NetworkMode::Container(_) => BTreeMap::new(),
            own => [(network_name(own), Network::default())].into(),
        };
        return Ok(NetworkSettings { ports, networks, ..NetworkSettings::default() });
    };
    let members = net::memberships_in_order(root, spec)?;
    let all: Vec<(String, Network)> =
        members.iter().map(|(n, endpoint)| (n.name.clone(), network(n, endpoint))).collect();
    let main = all.iter().find(|(name, _)| name == DEFAULT_NETWORK).or(all.first());
    let main = main.map(|(_, network)| network.clone()).unwrap_or_default();
    // a native container's is its own, and as long as it runs it can be entered there
    let own = state.pid.filter(|_| state.is_alive() && spec.engine == EngineKind::Native);
    Ok(NetworkSettings {
        sandbox_id: own.map(|_| spec.id.to_string()).unwrap_or_default(),
        sandbox_key: own.map(|pid| format!("/proc/{pid}/ns/net")).unwrap_or_default(),
        ports,
        endpoint_id: main.endpoint_id,
        gateway: main.gateway,
        global_ipv6_address: main.global_ipv6_address,
        global_ipv6_prefix_len: main.global_ipv6_prefix_len,
        ip_address: main.ip_address,
        ip_prefix_len: main.ip_prefix_len,
        ipv6_gateway: main.ipv6_gateway,
        mac_address: main.mac_address,
        networks: all.into_iter().collect(),
        ..NetworkSettings::default()
    })
}

fn network(network: &NetworkSpec, endpoint: &Endpoint) -> Network {
    let text = |address: Option<&dyn ToString>| address.map(|a| a.to_string()).unwrap_or_default();
    let ipv4 = network.ipv4.as_ref().filter(|_| endpoint.ipv4.is_some());
    let ipv6 = network.ipv6.as_ref().filter(|_| endpoint.ipv6.is_some());
    let (wished4, wished6) = (endpoint.wished_ipv4, endpoint.wished_ipv6);
    let wished = WishedAddresses {
        ipv4: wished4.map(|a| a.to_string()),
        ipv6: wished6.map(|a| a.to_string()),
        link_local: endpoint.link_local.iter().map(ToString::to_string).collect(),
    };
    let has_wish = endpoint.is_wished() || !endpoint.link_local.is_empty();
    Network {
        ipam_config: has_wish.then_some(wished),
        links: nil::Slice,
        driver_opts: nil::Map,
        gw_priority: 0,
        aliases: endpoint.aliases.clone(),
        mac_address: endpoint.mac_text(),
        network_id: network.id.to_string(),
        endpoint_id: match endpoint.is_up() {
            true => endpoint.container.to_string(),
            false => String::new(),
        },
        gateway: text(ipv4.map(|s| &s.gateway as _)),
        ip_address: text(endpoint.ipv4.as_ref().map(|a| a as _)),
        ip_prefix_len: ipv4.map_or(0, |s| s.subnet.prefix_len()),
        ipv6_gateway: text(ipv6.map(|s| &s.gateway as _)),
        global_ipv6_address: text(endpoint.ipv6.as_ref().map(|a| a as _)),
        global_ipv6_prefix_len: ipv6.map_or(0, |s| s.subnet.prefix_len()),
        dns_names: endpoint.names().map(str::to_owned).collect(),
    }
}

/// `/db:/web/alias`, as Docker writes them; one whose container is gone by its id.
pub(super) fn links(root: &Root, container: &Container) -> Vec<String> {
    let link = |link: &Link| {
        let other = state::load(root, &link.container).map(|other| other.state.name);
        let other = other.unwrap_or_else(|_| link.container.to_string());
        format!("/{other}:/{}/{}", container.state.name, link.alias)
    };
    container.spec.links.iter().map(link).collect()
}

pub(super) fn port_key(port: &Port) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}
