//! What a container is called, by itself.

use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::net::{IpAddr, Ipv4Addr};

/// The container's host name: the host's own on the host's network, as Docker.
pub fn hostname(spec: &ContainerSpec) -> String {
    match (&spec.hostname, &spec.network) {
        (Some(name), _) => name.clone(),
        (None, network) if spec.isolation.uts_host || *network == NetworkMode::Host => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        (None, _) => spec.id.short().to_owned(),
    }
}

/// All names under which a container finds itself, the one with its domain first.
pub fn names(spec: &ContainerSpec) -> Vec<String> {
    let host = hostname(spec);
    match (&spec.domainname, host.split_once('.')) {
        (Some(domain), _) => vec![format!("{host}.{domain}"), host],
        (None, Some((short, _))) => {
            let short = short.to_owned();
            vec![host, short]
        }
        (None, None) => vec![host],
    }
}

/// What `host-gateway` stands for, for a container on these networks. On the host's network the host is this machine.
pub fn host_gateway<'a>(mut networks: impl Iterator<Item = &'a NetworkSpec>) -> IpAddr {
    let gateway = networks.find_map(|network| network.ipv4.as_ref());
    gateway.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |subnet| subnet.gateway.into())
}
