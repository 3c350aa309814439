//! Names of hosts: the container's own files first, then the name servers.
//!
//! libc's resolver is of no use in a process whose root is the container's and that may open no netlink socket; and
//! names of other containers will come from Knarr's own tables. So this is a resolver of our own, small as it can be.

mod dns;
pub(in crate::engine::wasm) mod lookup;

use super::super::error::Error;
use super::super::files::Tree;
use knarr_core::fsx;
use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The port of name servers.
const PORT: u16 = 53;
/// `resolv.conf(5)`: no more are used.
const SERVERS: usize = 3;
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
    #[error("the container has no network")]
    Denied,
}

/// What names are looked up in.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::wasm) struct Names {
    /// False where there is no network.
    allowed: bool,
    hosts: HashMap<String, Vec<IpAddr>>,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with fewer dots is tried in the search domains first.
    dots: usize,
    timeout: Duration,
    attempts: u32,
}

impl Names {
    /// Reads the container's `/etc/hosts` and `/etc/resolv.conf`, the host's `resolv.conf` where the container has
    /// none. Before the process is confined.
    pub fn load(
        tree: &Tree,
        extra_hosts: &[(String, String)],
        hostname: Option<&str>,
    ) -> Result<Self, Error> {
        let mut names =
            Self { dots: 1, timeout: Duration::from_secs(5), attempts: 2, ..Self::default() };
        names.allowed = true;
        names.read_hosts(&of_container(tree, "/etc/hosts")?);
        for (name, address) in extra_hosts {
            if let Ok(address) = address.parse() {
                names.hosts.insert(name.to_ascii_lowercase(), vec![address]);
            }
        }
        for name in std::iter::once("localhost").chain(hostname) {
            let both = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            names.hosts.entry(name.to_ascii_lowercase()).or_insert(both);
        }
        let mut resolver = of_container(tree, "/etc/resolv.conf")?;
        if resolver.is_empty() {
            let own = fsx::read_optional(Path::new("/etc/resolv.conf"))
                .map_err(|e| Error::system("read resolv.conf", e))?;
            resolver = String::from_utf8_lossy(&own.unwrap_or_default()).into_owned();
        }
        names.read_resolver(&resolver);
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

    fn read_resolver(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    self.servers.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => self.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| self.read_option(option)),
                _ => {}
            }
        }
        if self.servers.is_empty() {
            self.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        self.servers.truncate(SERVERS);
    }

    fn read_option(&mut self, option: &str) {
        let Some((name, Ok(value))) = option.split_once(':').map(|(n, v)| (n, v.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.dots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
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
        let plain = name.trim_end_matches('.');
        if let Some(addresses) = self.hosts.get(&plain.to_ascii_lowercase()) {
            return Ok(addresses.clone());
        }
        let mut failure = Failure::Unknown;
        for candidate in self.candidates(&name) {
            match dns::addresses(&candidate, &self.servers, self.timeout, self.attempts).await {
                Ok(mut addresses) => {
                    addresses.sort_by_key(IpAddr::is_ipv6);
                    return Ok(addresses);
                }
                Err(Failure::Unanswered) => failure = Failure::Unanswered,
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// The absolute names to try, in order (`resolv.conf(5)`, "search").
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut candidates: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{name}.{}", domain.trim_matches('.')))
            .collect();
        let is_full = name.matches('.').count() >= self.dots;
        candidates.insert(if is_full { 0 } else { candidates.len() }, name.to_owned());
        candidates
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
        let mut names = Names { dots: 1, ..Names::default() };
        names.read_hosts(
            "127.0.0.1 localhost # me\n::1 localhost\n\n10.0.0.2\tDb db.local\nbad x\n",
        );
        assert_eq!(names.hosts["localhost"].len(), 2);
        assert_eq!(names.hosts["db"], names.hosts["db.local"]);
        names.read_resolver(
            "# comment\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver ::1\n\
             options ndots:2 timeout:1\nnameserver x\n",
        );
        assert_eq!(names.servers.len(), 2);
        assert_eq!(names.timeout, Duration::from_secs(1));
        assert_eq!(names.candidates("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(names.candidates("a.b.c"), ["a.b.c", "a.b.c.a.example", "a.b.c.b.example"]);
        assert_eq!(names.candidates("db."), ["db"]);
    }
}
