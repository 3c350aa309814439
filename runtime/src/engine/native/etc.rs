//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container.

use super::error::Error;
use crate::net::{Attached, names};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, Dns, NetworkMode};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Name below [`knarr_core::root::ContainerPaths::etc`], and where it is mounted.
pub const FILES: &[(&str, &str)] =
    &[("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")];

/// Docker's `/etc/hosts`.
const LOCALHOST: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// The container's host name: the host's own on the host's network, as Docker.
pub fn hostname(spec: &ContainerSpec) -> String {
    match (&spec.hostname, &spec.network) {
        (Some(name), _) => name.clone(),
        (None, NetworkMode::Host) => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        (None, _) => spec.id.short().to_owned(),
    }
}

/// Writes the container's files, and returns the folder. What exists stays: the container may have changed it.
pub fn write(root: &Root, spec: &ContainerSpec, network: &Attached) -> Result<PathBuf, Error> {
    let directory = root.container(&spec.id).etc();
    if !directory.join("resolv.conf").exists() {
        fsx::create_dir_all(&directory)?;
        let shared = match &spec.network {
            NetworkMode::Container(other) => Some(root.container(other).etc()),
            _ => None,
        };
        // whoever shares a network shares what is said about it
        let of_other = |name: &str| match &shared {
            Some(folder) => fsx::read_optional(&folder.join(name)),
            None => Ok(None),
        };
        let hosts_file = match of_other("hosts")? {
            Some(text) => text,
            None => hosts(spec, network)?.into_bytes(),
        };
        fsx::write(&directory.join("hosts"), hosts_file)?;
        fsx::write(&directory.join("hostname"), format!("{}\n", hostname(spec)))?;
        let resolver = match of_other("resolv.conf")? {
            Some(text) => text,
            None => {
                let host = fsx::read_optional(Path::new("/etc/resolv.conf"))?.unwrap_or_default();
                let host = String::from_utf8_lossy(&host);
                resolver(&host, &spec.dns, matches!(spec.network, NetworkMode::Networks(_)))
                    .into_bytes()
            }
        };
        // the last one: the mark that all are there
        fsx::write(&directory.join("resolv.conf"), resolver)?;
    }
    Ok(directory)
}

fn hosts(spec: &ContainerSpec, network: &Attached) -> Result<String, Error> {
    let mut hosts = match spec.network {
        NetworkMode::Host => {
            let host = fsx::read_optional(Path::new("/etc/hosts"))?;
            host.map_or(LOCALHOST.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
        }
        _ => LOCALHOST.to_owned(),
    };
    if !hosts.ends_with('\n') && !hosts.is_empty() {
        hosts.push('\n');
    }
    for (_, endpoint) in &network.endpoints {
        for address in endpoint.addresses() {
            let _ = writeln!(hosts, "{address}\t{}", hostname(spec));
        }
    }
    // on the host's network the host is this machine
    let gateway = network.endpoints.iter().find_map(|(network, _)| network.ipv4.as_ref());
    let host = gateway.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |subnet| subnet.gateway.into());
    for (name, address) in &spec.extra_hosts {
        let _ = match address.as_str() {
            "host-gateway" => writeln!(hosts, "{host}\t{name}"),
            address => writeln!(hosts, "{address}\t{name}"),
        };
    }
    Ok(hosts)
}

/// The host's `resolv.conf` with what the user gave in its place. With networks the container's own name server stands in
/// it: that one asks the others.
fn resolver(host: &str, dns: &Dns, own: bool) -> String {
    let servers: Vec<IpAddr> = match own {
        true => vec![names::ADDRESS.into()],
        false => dns.servers.clone(),
    };
    let replaced = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        first == "nameserver" && !servers.is_empty()
            || ["search", "domain"].contains(&first) && !dns.search.is_empty()
            || own && (first.is_empty() || first.starts_with(['#', ';']))
    };
    let mut text = String::new();
    for line in host.lines().filter(|line| !replaced(line)) {
        let _ = writeln!(text, "{line}");
    }
    for server in &servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    // `.`: none
    let search: Vec<&str> = dns.search.iter().map(String::as_str).filter(|d| *d != ".").collect();
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !dns.options.is_empty() {
        let _ = writeln!(text, "options {}", dns.options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_what_the_host_has() {
        let host =
            "# made by a program\nnameserver 192.0.2.53\nsearch example.org\noptions edns0\n";
        assert_eq!(resolver(host, &Dns::default(), false), host);
        assert_eq!(
            resolver(host, &Dns::default(), true),
            "search example.org\noptions edns0\nnameserver 127.0.0.11\n"
        );
        let dns = Dns {
            servers: vec!["198.51.100.1".parse().unwrap()],
            search: vec![".".into()],
            options: vec!["ndots:3".into()],
        };
        assert_eq!(
            resolver(host, &dns, false),
            "# made by a program\noptions edns0\nnameserver 198.51.100.1\noptions ndots:3\n"
        );
        // the container's own name server asks the one that is given
        assert!(resolver(host, &dns, true).contains("nameserver 127.0.0.11\n"));
        assert!(!resolver(host, &dns, true).contains("198.51.100.1"));
    }
}
