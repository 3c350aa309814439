//! Ports of the host that several services want.

use std::collections::HashMap;
use std::net::IpAddr;

use super::project::Project;
use crate::node::Place;

/// Addresses that stand for all of the host's.
fn is_all(ip: &str) -> bool {
    ip.is_empty() || ip.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

/// Who wants a port: on which addresses, on all of them, and who was first.
struct Takers<'a> {
    one: HashMap<&'a str, Place>,
    all: Option<Place>,
    first: Place,
}

impl Project {
    /// The ports of the host that are published twice, with the places of both. Ranges to choose from clash with nothing.
    pub fn port_clashes(&self) -> Vec<(String, Place, Place)> {
        let mut taken: HashMap<(&str, &str), Takers> = HashMap::new();
        let mut clashes = Vec::new();
        for service in self.services.values() {
            for (index, port) in service.ports.iter().enumerate() {
                let path = format!("services.{}.ports.{index}", service.name);
                let Some(place) = self.place(&path) else { continue };
                if port.published.parse::<u16>().unwrap_or(0) == 0 {
                    continue;
                }
                let key = (port.published.as_str(), port.protocol.as_str());
                let is_new = !taken.contains_key(&key);
                let takers = taken.entry(key).or_insert_with(|| Takers {
                    one: HashMap::new(),
                    all: None,
                    first: place.clone(),
                });
                let first = match is_all(&port.host_ip) {
                    true => Some(&takers.first).filter(|_| !is_new),
                    false => takers.one.get(port.host_ip.as_str()).or(takers.all.as_ref()),
                };
                if let Some(first) = first {
                    let port = format!("{}/{}", port.published, port.protocol);
                    clashes.push((port, first.clone(), place.clone()));
                }
                match is_all(&port.host_ip) {
                    true => takers.all = Some(place.clone()),
                    false => drop(takers.one.insert(&port.host_ip, place.clone())),
                }
            }
        }
        clashes
    }
}
