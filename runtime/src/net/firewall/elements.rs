//! Networks and published ports as elements of the table's sets.

use super::message::{Element, Set};
use super::ruleset::{
    BRIDGES, EVERYWHERE4, EVERYWHERE6, INTERNAL, NEIGHBOURS, PORTS4, PORTS6, SUBNETS4, SUBNETS6,
};
use ipnet::IpNet;
use knarr_core::spec::{Port, Protocol};
use std::net::IpAddr;

/// What the packet filter knows of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub bridge: String,
    pub subnets: Vec<IpNet>,
    pub internal: bool,
    /// Packets that leave it get the host's address.
    pub masquerade: bool,
}

/// A published port and the container's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// With its host port.
    pub port: Port,
    pub address: IpAddr,
}

/// Elements of one set.
pub type Elements = (Set, Vec<Element>);

fn element(key: Vec<u8>) -> Element {
    Element { key, data: None, is_end: false }
}

fn interface(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The next address; `None` behind the last one of all.
fn behind(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => u32::from(a).checked_add(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(a) => u128::from(a).checked_add(1).map(|n| IpAddr::V6(n.into())),
    }
}

fn of_network(network: &Network) -> Vec<Elements> {
    let name = interface(&network.bridge);
    let mut all = vec![
        (BRIDGES, vec![element(name.clone())]),
        (NEIGHBOURS, vec![element([name.clone(), name.clone()].concat())]),
    ];
    if network.internal {
        all.push((INTERNAL, vec![element(name)]));
    }
    if network.masquerade && !network.internal {
        for subnet in &network.subnets {
            let set = if subnet.addr().is_ipv4() { SUBNETS4 } else { SUBNETS6 };
            let mut interval = vec![element(octets(subnet.network()))];
            if let Some(end) = behind(subnet.broadcast()) {
                interval.push(Element { key: octets(end), data: None, is_end: true });
            }
            all.push((set, interval));
        }
    }
    all
}

/// Of the Internet protocol's header.
pub fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn of_port(published: &Published) -> Option<Elements> {
    let Published { port, address } = published;
    let protocol = number(port.protocol);
    let padded = |number: u16| [number.to_be_bytes(), [0; 2]].concat();
    if port.host_ip.is_some_and(|ip| ip.is_ipv4() != address.is_ipv4()) {
        return None; // no translation between the families
    }
    let on = port.host_ip.filter(|ip| !ip.is_unspecified());
    let mut key = vec![protocol, 0, 0, 0];
    key.extend(on.map(octets).unwrap_or_default());
    key.extend(padded(port.host_port?));
    let data = [octets(*address), padded(port.container_port)].concat();
    let set = match (address, on) {
        (IpAddr::V4(_), Some(_)) => PORTS4,
        (IpAddr::V6(_), Some(_)) => PORTS6,
        (IpAddr::V4(_), None) => EVERYWHERE4,
        (IpAddr::V6(_), None) => EVERYWHERE6,
    };
    Some((set, vec![Element { key, data: Some(data), is_end: false }]))
}

/// Everything, set by set.
pub fn all(networks: &[Network], published: &[Published]) -> impl Iterator<Item = Elements> {
    networks.iter().flat_map(of_network).chain(published.iter().filter_map(of_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(host_ip: Option<&str>, address: &str) -> Option<(&'static str, Element)> {
        let port = Port {
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: Some(8080),
            host_last: None,
            container_port: 80,
            protocol: Protocol::Tcp,
        };
        let address = address.parse().unwrap();
        let (set, mut elements) = of_port(&Published { port, address })?;
        Some((set.name, elements.remove(0)))
    }

    #[test]
    fn keys_are_padded_to_registers() {
        let (set, element) = published(Some("127.0.0.1"), "10.0.0.2").unwrap();
        assert_eq!(set, "ports4");
        assert_eq!(element.key, [6, 0, 0, 0, 127, 0, 0, 1, 0x1f, 0x90, 0, 0]);
        assert_eq!(element.data.unwrap(), [10, 0, 0, 2, 0, 80, 0, 0]);
        let (set, element) = published(None, "fd00::2").unwrap();
        assert_eq!((set, element.key.len(), element.data.unwrap().len()), ("everywhere6", 8, 20));
        assert_eq!(published(Some("0.0.0.0"), "10.0.0.2").unwrap().0, "everywhere4");
        assert_eq!(published(Some("::"), "10.0.0.2"), None);
        assert_eq!(published(Some("127.0.0.1"), "fd00::2"), None);
    }

    #[test]
    fn an_interval_ends_behind_its_last_address() {
        let network = Network {
            bridge: "knarr0".into(),
            subnets: vec!["10.1.0.0/20".parse().unwrap(), "255.255.255.0/24".parse().unwrap()],
            internal: false,
            masquerade: true,
        };
        let all = of_network(&network);
        let end = &all[2].1[1];
        assert!(end.is_end);
        assert_eq!(end.key, [10, 1, 16, 0]);
        assert_eq!(all[3].1.len(), 1, "there is nothing behind the last address of all");
    }
}
