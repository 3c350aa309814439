//! Networks: what a container asks of them, and the record of one.

use crate::id::ContainerId;
use crate::record::Record;
use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that a container joins that names none.
pub const DEFAULT_NETWORK: &str = "bridge";

/// `--network`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The host's own network.
    Host,
    /// Only `lo`.
    None,
    /// The network of another container, shared with it.
    Container(ContainerId),
    /// Networks of Knarr's own, at least one; the first gives the default route. What it joins or leaves later is in the
    /// networks' endpoints, not here.
    Networks(Vec<Attachment>),
}

/// A container's wish for a place on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Further names under which others find the container there.
    pub aliases: Vec<String>,
    /// `--ip`; `None`: a free one.
    pub ipv4: Option<Ipv4Addr>,
    /// `--ip6`
    pub ipv6: Option<Ipv6Addr>,
}

/// `--dns`, `--dns-search`, `--dns-option`: what names are asked of that no network knows. Empty: the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// One `--allow-outbound HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// A name (`*.` in front: all below it), an address, or a subnet.
    pub host: String,
    /// `None`: every port.
    pub port: Option<u16>,
}

impl std::fmt::Display for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            None => f.write_str(&self.host),
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// The record of a network (`networks/<name>/network.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// 64 hexadecimal digits, as a container's.
    pub id: ContainerId,
    pub name: String,
    pub created: Timestamp,
    pub driver: Driver,
    pub ipv4: Option<Subnet<Ipv4Net, Ipv4Addr>>,
    pub ipv6: Option<Subnet<Ipv6Net, Ipv6Addr>>,
    /// No way out of the network.
    pub internal: bool,
    pub labels: BTreeMap<String, String>,
    /// `-o`
    pub options: BTreeMap<String, String>,
}

/// What carries a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of the host (Linux).
    Bridge,
    /// Virtual addresses that are mapped to ports of the host's loopback; for Wasm containers only.
    Loopback,
}

/// The addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet<N, A> {
    pub subnet: N,
    pub gateway: A,
    /// `--ip-range`: where free addresses are taken from; `None`: the whole subnet.
    pub range: Option<N>,
}

impl Record for NetworkSpec {
    const KIND: &'static str = "network";
    const VERSION: u32 = 1;
}
