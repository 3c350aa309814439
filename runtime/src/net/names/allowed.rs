//! Where a container may connect to (`--allow-outbound`).

use ipnet::IpNet;
use knarr_core::spec::Outbound;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// More names' addresses than a program has use for; a guest cannot make us remember more.
const REMEMBERED: usize = 100_000;

/// A list of names, addresses and subnets, and the addresses that the names turned out to have.
#[derive(Debug, Default)]
pub struct Allowed {
    names: Vec<(Pattern, Option<u16>)>,
    subnets: Vec<(IpNet, Option<u16>)>,
    learnt: Mutex<HashMap<IpAddr, HashSet<Option<u16>>>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Name(String),
    /// `*.` and this
    Below(String),
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Below(domain) => name
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
        }
    }
}

impl Allowed {
    pub fn new(list: &[Outbound]) -> Self {
        let mut allowed = Self::default();
        for Outbound { host, port } in list {
            let bare = host.trim_matches(['[', ']']);
            match (bare.parse::<IpNet>(), bare.parse::<IpAddr>()) {
                (Ok(subnet), _) => allowed.subnets.push((subnet, *port)),
                (_, Ok(address)) => allowed.subnets.push((address.into(), *port)),
                _ => {
                    let name = canonical(host);
                    let pattern = match name.strip_prefix("*.") {
                        Some(domain) => Pattern::Below(domain.to_owned()),
                        None => Pattern::Name(name),
                    };
                    allowed.names.push((pattern, *port));
                }
            }
        }
        allowed
    }

    /// The addresses and subnets of the list, each with its port (`None`: every one).
    pub fn subnets(&self) -> &[(IpNet, Option<u16>)] {
        &self.subnets
    }

    /// The ports on which a host of this name may be reached (`None` among them: all); empty if it may not be.
    pub fn ports_of_name(&self, name: &str) -> Vec<Option<u16>> {
        let name = canonical(name);
        self.names.iter().filter(|(p, _)| p.matches(&name)).map(|(_, port)| *port).collect()
    }

    /// From now on what the name allows holds for these addresses.
    pub fn learn(&self, name: &str, addresses: &[IpAddr]) {
        let ports = self.ports_of_name(name);
        if ports.is_empty() {
            return;
        }
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if learnt.len() < REMEMBERED || learnt.contains_key(address) {
                learnt.entry(*address).or_default().extend(&ports);
            }
        }
    }

    /// Whether some port of this address may be reached.
    pub fn has(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|(subnet, _)| subnet.contains(&address))
            || self.learnt.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&address)
    }

    /// Whether this port of this address may be reached.
    pub fn permits(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let fits = |allowed: &Option<u16>| allowed.is_none_or(|allowed| allowed == port);
        self.subnets.iter().any(|(subnet, port)| subnet.contains(&address) && fits(port))
            || self
                .learnt
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&address)
                .is_some_and(|ports| ports.iter().any(fits))
    }
}

/// A name as it is compared: lower case, no dot at the end.
pub(crate) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &[(&str, Option<u16>)]) -> Allowed {
        let outbound =
            |(host, port): &(&str, Option<u16>)| Outbound { host: (*host).to_owned(), port: *port };
        Allowed::new(&list.iter().map(outbound).collect::<Vec<_>>())
    }

    #[test]
    fn names_addresses_and_subnets() {
        let list = allowed(&[
            ("Db", Some(5432)),
            ("*.example.com", None),
            ("10.1.0.0/16", Some(80)),
            ("192.0.2.7", None),
            ("[fd00::1]", Some(443)),
        ]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(list.ports_of_name("DB."), [Some(5432)]);
        assert_eq!(list.ports_of_name("a.b.example.com"), [None]);
        for name in ["example.com", ".example.com", "badexample.com", "x.db", "db.x", ""] {
            assert!(list.ports_of_name(name).is_empty(), "{name}");
        }
        assert!(list.permits(ip("10.1.2.3"), 80) && !list.permits(ip("10.1.2.3"), 81));
        assert!(list.permits(ip("::ffff:10.1.2.3"), 80) && !list.permits(ip("10.2.0.1"), 80));
        assert!(list.permits(ip("192.0.2.7"), 1) && !list.permits(ip("192.0.2.8"), 1));
        assert!(list.permits(ip("fd00::1"), 443) && !list.permits(ip("fd00::1"), 80));
        assert!(!list.permits(ip("10.9.0.1"), 5432));
        list.learn("db", &[ip("10.9.0.1")]);
        list.learn("other", &[ip("10.9.0.2")]);
        assert!(list.permits(ip("10.9.0.1"), 5432) && !list.permits(ip("10.9.0.1"), 80));
        assert!(!list.permits(ip("10.9.0.2"), 5432));
    }
}
