//! Names of hosts: the container's own files first, then the name servers.
//!
//! libc's resolver is of no use in a process whose root is the container's and that may open no netlink socket; and
//! names of other containers will come from Knarr's own tables. So this is a resolver of our own, small as it can be.

mod dns;
pub(in crate::engine::wasm) mod lookup;

use super::super::error::Error;
use super::super::files::Tree;
use super::denial::Denials;
use super::monitor::Monitor;
use super::sockets::{Place, Where};
use crate::engine::names::names as own_names;
use crate::net::names::Allowed;
use crate::net::names::servers::Configuration;
use dns::Servers;
use knarr_core::fsx;
use knarr_core::spec::ContainerSpec;
use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

/// More than any real hosts file.
const LIMIT: u64 = 8 << 20;

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::engine::wasm) enum Failure {
    #[error("not a host name")]
    Invalid,
    #[error("no such host")]
    Unknown,
    #[error("the name servers did not answer")]
    Unanswered,
    #[error("the container may not look it up")]
    Denied,
}

/// What names are looked up in.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Names {
    /// False where there is no network.
    allowed: bool,
    hosts: HashMap<String, Vec<IpAddr>>,
    /// The container's own names, which mean its addresses.
    own: Option<(Vec<String>, Arc<Place>)>,
    configuration: Configuration,
    servers: Servers,
    /// `--allow-outbound`
    only: Option<(Arc<Allowed>, Arc<Denials>)>,
}

/// What a container's names depend on besides its files.
pub(in crate::engine::wasm) struct Circumstances<'a> {
    pub spec: &'a ContainerSpec,
    pub place: &'a Arc<Place>,
    /// `host-gateway`
    pub host: IpAddr,
    /// Knows the names on the container's networks.
    pub monitor: Option<Arc<Monitor>>,
    pub only: Option<(Arc<Allowed>, Arc<Denials>)>,
}

impl Names {
    /// Reads the container's `/etc/hosts` and `/etc/resolv.conf`, the host's `resolv.conf` where the container has
    /// none. Before the process is confined.
    pub fn load(tree: &Tree, given: Circumstances<'_>) -> Result<Self, Error> {
        let mut names = Self { allowed: true, only: given.only, ..Self::default() };
        names.read_hosts(&of_container(tree, "/etc/hosts")?);
        for (name, address) in &given.spec.extra_hosts {
            let address = match address.as_str() {
                "host-gateway" => Some(given.host),
                address => address.parse().ok(),
            };
            if let Some(address) = address {
                names.hosts.insert(name.to_ascii_lowercase(), vec![address]);
            }
        }
        // what the host's loopback carries, it carries as IPv4
        let mut local = vec![Ipv4Addr::LOCALHOST.into()];
        match given.place.at {
            Where::Alone(_) | Where::Shared(_) => local.push(Ipv6Addr::LOCALHOST.into()),
            Where::Carried(_) => drop(names.hosts.remove("localhost")),
        }
        names.hosts.entry("localhost".to_owned()).or_insert(local);
        let own = own_names(given.spec).iter().map(|name| name.to_ascii_lowercase()).collect();
        names.own = Some((own, given.place.clone()));
        let mut resolver = of_container(tree, "/etc/resolv.conf")?;
        if resolver.is_empty() || given.monitor.is_some() {
            let own = fsx::read_optional(Path::new("/etc/resolv.conf"))
                .map_err(|e| Error::system("read resolv.conf", e))?;
            resolver = String::from_utf8_lossy(&own.unwrap_or_default()).into_owned();
        }
        let mut configuration = Configuration::parse(&resolver);
        if given.monitor.is_some() {
            // a neighbour's name must not be asked for elsewhere, below some search domain
            configuration.dots = 0;
        }
        names.configuration = configuration.overridden(&given.spec.dns);
        names.servers = match given.monitor {
            Some(monitor) => Servers::Monitor(monitor),
            None => Servers::Addresses {
                servers: names.configuration.servers.clone(),
                patience: names.configuration.timeout,
                attempts: names.configuration.attempts,
            },
        };
        Ok(names)
    }

    fn read_hosts(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                self.hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
            }
        }
    }

    /// The addresses of a name, IPv4 first; an address is its own.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let name = match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) => name,
            Ok(url::Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Ok(url::Host::Ipv6(address)) => return Ok(vec![address.into()]),
            Err(_) => {
                return match name.parse::<Ipv6Addr>() {
                    Ok(address) => Ok(vec![address.into()]),
                    Err(_) => Err(Failure::Invalid),
                };
            }
        };
        if !self.allowed {
            return Err(Failure::Denied);
        }
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some((only, denials)) = &self.only
            && plain != "localhost"
            && only.ports_of_name(&plain).is_empty()
        {
            denials.note(&format!("looking up {plain}"));
            return Err(Failure::Denied);
        }
        let addresses = self.search(&name, &plain).await?;
        if let Some((only, _)) = &self.only {
            only.learn(&plain, &addresses);
        }
        Ok(addresses)
    }

    async fn search(&self, name: &str, plain: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Some(addresses) = self.hosts.get(plain) {
            return Ok(addresses.clone());
        }
        if let Some((_, place)) =
            self.own.as_ref().filter(|(own, _)| own.iter().any(|own| own == plain))
        {
            let own: Vec<IpAddr> = place.current.get().addresses().collect();
            let local = || self.hosts.get("localhost").cloned().unwrap_or_default();
            return Ok(if own.is_empty() { local() } else { own });
        }
        let mut failure = Failure::Unknown;
        for candidate in self.configuration.candidates(name) {
            match dns::addresses(&candidate, &self.servers).await {
                Ok(mut addresses) => {
                    addresses.sort_by_key(IpAddr::is_ipv6);
                    return Ok(addresses);
                }
                Err(Failure::Unanswered) => failure = Failure::Unanswered,
                // what the list does not have below a search domain may be in it without
                Err(Failure::Denied) if self.only.is_some() => {}
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }
}

/// A file of the container; an absent one is empty.
fn of_container(tree: &Tree, path: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    if let Some(file) = tree.open_file(path)? {
        file.take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::system(format!("read {path}"), e))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_container() {
        let mut names = Names::default();
        names.read_hosts(
            "127.0.0.1 localhost # me\n::1 localhost\n\n10.0.0.2\tDb db.local\nbad x\n",
        );
        assert_eq!(names.hosts["localhost"].len(), 2);
        assert_eq!(names.hosts["db"], names.hosts["db.local"]);
    }
}
