//! The options of `run` and `create` about networks.

use crate::error::Failure;
use clap::Args;
use knarr_core::spec::network::{Dns, Driver, Outbound};
use knarr_runtime::container::options::{NetworkOptions, parse_outbound};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// Add a host-to-IP mapping (HOST:IP) to /etc/hosts; host-gateway stands for this machine's address
    #[arg(long, value_name = "HOST:IP")]
    pub add_host: Vec<String>,
    /// Connect to nothing but this: HOST[:PORT] (*.example.com, 10.0.0.0/8:5432), several times; none forbids all. Native: the
    /// container is not given NET_RAW, nor sockets other than of IP, Unix and netlink
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_outbound: Vec<String>,
    /// Name servers for names that no network knows
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// Options of the resolver (resolv.conf)
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Domains in which short names are looked up
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// The container's address on its first network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// The same for IPv6
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// A name of its own for another container on one of its networks
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    link: Vec<String>,
    /// A further address on its first network, of 169.254.0.0/16 or fe80::/10
    #[arg(long, value_name = "ADDRESS")]
    link_local_ip: Vec<IpAddr>,
    /// The address of its interface on its first network
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// A network (several times, also as name=NAME,alias=NAME,ip=ADDRESS), host, none, or container:NAME
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Vec<String>,
    /// A further name for the container on its first network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// What carries the default network: bridge, or loopback (for hosts without bridges; Wasm only)
    #[arg(long, value_name = "BACKEND", value_parser = driver)]
    network_backend: Option<Driver>,
}

impl NetworkArgs {
    pub fn options(&self) -> Result<NetworkOptions, Failure> {
        Ok(NetworkOptions {
            networks: self.network.clone(),
            ipv4: self.ip,
            ipv6: self.ip6,
            aliases: self.network_alias.clone(),
            mac: self.mac_address.as_deref().map(str::parse).transpose()?,
            link_local: self.link_local_ip.clone(),
            links: self.link.clone(),
            backend: self.network_backend,
        })
    }

    pub fn dns(&self) -> Dns {
        Dns {
            servers: self.dns.clone(),
            search: self.dns_search.clone(),
            options: self.dns_option.clone(),
        }
    }

    pub fn outbound(&self) -> Result<Option<Vec<Outbound>>, Failure> {
        Ok(parse_outbound(&self.allow_outbound)?)
    }
}

pub fn driver(text: &str) -> Result<Driver, String> {
    match text {
        "bridge" => Ok(Driver::Bridge),
        "loopback" => Ok(Driver::Loopback),
        _ => Err("the backends are bridge and loopback".into()),
    }
}
