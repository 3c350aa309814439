//! Which name servers are asked for what no network of ours knows (`resolv.conf(5)`).

use crate::net::rootless::Outside;
use knarr_core::fsx;
use knarr_core::spec::Dns;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The port of name servers.
const PORT: u16 = 53;
/// `resolv.conf(5)`: no more are used.
const SERVERS: usize = 3;

/// What a `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<String>,
    /// A name with fewer dots is tried in the search domains first.
    pub dots: usize,
    pub timeout: Duration,
    pub attempts: u32,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl Configuration {
    /// Reads the text of a `resolv.conf`. One that names no server means the one on this host.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    read.servers.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => read.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| read.option(option)),
                _ => {}
            }
        }
        if read.servers.is_empty() {
            read.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        read.servers.truncate(SERVERS);
        read
    }

    /// With what the user gave in place of what was read.
    pub fn overridden(mut self, dns: &Dns) -> Self {
        if !dns.servers.is_empty() {
            self.servers = dns.servers.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect();
        }
        if !dns.search.is_empty() {
            // `--dns-search .`: none at all
            self.search = dns.search.iter().filter(|domain| *domain != ".").cloned().collect();
        }
        dns.options.iter().for_each(|option| self.option(option));
        self
    }

    fn option(&mut self, option: &str) {
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

    /// The absolute names to try, in order (`resolv.conf(5)`, "search").
    pub fn candidates(&self, name: &str) -> Vec<String> {
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

/// The servers that a container's questions are passed on to.
#[derive(Debug)]
pub struct Upstream {
    fixed: Vec<SocketAddr>,
    /// The host's file, which changes when the host changes networks.
    followed: Option<Followed>,
    pub(super) outside: Outside,
}

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    changed: Option<SystemTime>,
}

impl Upstream {
    /// None: unknown names do not exist.
    pub fn none() -> Self {
        Self::fixed(Vec::new())
    }

    /// These, each with its port.
    pub fn fixed(servers: Vec<SocketAddr>) -> Self {
        Self { fixed: servers, followed: None, outside: Outside::default() }
    }

    /// `--dns`, or else the host's.
    pub fn of(dns: &Dns) -> Self {
        if !dns.servers.is_empty() {
            return Self::fixed(dns.servers.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect());
        }
        Self::following("/etc/resolv.conf".into())
    }

    fn following(path: PathBuf) -> Self {
        let followed = Some(Followed { path, changed: None });
        Self { followed, ..Self::none() }
    }

    /// Asked from there.
    #[must_use]
    pub(crate) fn from(self, outside: Outside) -> Self {
        Self { outside, ..self }
    }

    /// The servers as of now.
    pub(super) fn servers(&mut self) -> &[SocketAddr] {
        if let Some(followed) = &mut self.followed {
            let changed = followed.path.metadata().and_then(|m| m.modified()).ok();
            if changed.is_none() || changed != followed.changed {
                let text = fsx::read_to_string(&followed.path).unwrap_or_default();
                self.fixed = Configuration::parse(&text).servers;
                followed.changed = changed;
            }
        }
        &self.fixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file() {
        let read = Configuration::parse(
            "# comment\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver ::1\n\
             options ndots:2 timeout:1\nnameserver x\n",
        );
        assert_eq!(read.servers.len(), 2);
        assert_eq!(read.timeout, Duration::from_secs(1));
        assert_eq!(read.candidates("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(read.candidates("a.b.c"), ["a.b.c", "a.b.c.a.example", "a.b.c.b.example"]);
        assert_eq!(read.candidates("db."), ["db"]);
        let dns = Dns {
            servers: vec!["10.9.9.9".parse().unwrap()],
            search: vec![".".into()],
            options: vec!["ndots:0".into()],
        };
        let read = read.overridden(&dns);
        assert_eq!(read.servers, ["10.9.9.9:53".parse().unwrap()]);
        assert_eq!(read.candidates("db"), ["db"]);
        assert_eq!(Configuration::parse("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn the_hosts_file_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        fsx::write(&path, "nameserver 10.0.0.1\n").unwrap();
        let mut upstream = Upstream::following(path.clone());
        assert_eq!(upstream.servers(), ["10.0.0.1:53".parse().unwrap()]);
        let other = directory.path().join("other");
        fsx::write(&other, "nameserver 10.0.0.2\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(9);
        fsx::open_with(&other, std::fs::OpenOptions::new().write(true))
            .unwrap()
            .set_modified(later)
            .unwrap();
        fsx::rename(&other, &path).unwrap();
        assert_eq!(upstream.servers(), ["10.0.0.2:53".parse().unwrap()]);
    }
}
