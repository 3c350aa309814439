//! Ports of the host that several services want.

use std::collections::HashMap;
use std::net::IpAddr;

use super::project::Project;
use crate::node::Place;

/// Addresses that stand for all of the host's.
fn all(ip: &str) -> bool {
    ip.is_empty() || ip.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

impl Project {
    /// The ports of the host that are published twice, with the places of both. Ranges to choose from clash with nothing.
    pub fn port_clashes(&self) -> Vec<(String, Place, Place)> {
        let mut taken: HashMap<(&str, &str), Vec<(&str, Place)>> = HashMap::new();
        let mut clashes = Vec::new();
        for service in self.services.values() {
            for (index, port) in service.ports.iter().enumerate() {
                let path = format!("services.{}.ports.{index}", service.name);
                let Some(place) = self.place(&path) else { continue };
                if port.published.parse::<u16>().unwrap_or(0) == 0 {
                    continue;
                }
                let known = taken.entry((&port.published, &port.protocol)).or_default();
                let same = |ip: &str| ip == port.host_ip || all(ip) || all(&port.host_ip);
                if let Some((_, first)) = known.iter().find(|(ip, _)| same(ip)) {
                    let port = format!("{}/{}", port.published, port.protocol);
                    clashes.push((port, first.clone(), place.clone()));
                }
                known.push((&port.host_ip, place.clone()));
            }
        }
        clashes
    }
}
