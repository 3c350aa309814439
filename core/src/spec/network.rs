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

/// The network of Wasm containers that name none, where no bridge can be had.
pub const LOOPBACK_NETWORK: &str = "loopback";

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
    /// `--mac-address`; `None`: one that goes with its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// `--link-local-ip`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
}

/// `--link CONTAINER:ALIAS`: a further name under which this container finds another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub container: ContainerId,
    pub alias: String,
}

/// The address of one interface (EUI-48): neither a group's nor nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the address of an interface")]
pub struct InvalidMac {
    text: String,
}

impl crate::hint::Hint for InvalidMac {
    fn hint(&self) -> Option<String> {
        Some("write six bytes, the first of them even: 02:42:ac:11:00:02".into())
    }
}

impl std::str::FromStr for Mac {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let invalid = || InvalidMac { text: text.to_owned() };
        let byte = |part: &str| match part.len() {
            2 => u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+')),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
        let bytes: [u8; 6] = bytes.and_then(|b| b.try_into().ok()).ok_or_else(invalid)?;
        let is_group = bytes[0] & 1 == 1;
        if is_group || bytes == [0; 6] { Err(invalid()) } else { Ok(Self(bytes)) }
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = InvalidMac;

    fn try_from(text: String) -> Result<Self, InvalidMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// `--dns`, `--dns-search`, `--dns-option`: what names are asked of that no network knows. Empty: the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl Dns {
    /// The first option whose value could not stand in resolv.conf(5), and that value.
    pub fn invalid(&self) -> Option<(&'static str, &str)> {
        let domain =
            |text: &str| text == "." || is_host_name(text.strip_suffix('.').unwrap_or(text));
        let option = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"#;".contains(&byte);
            !text.is_empty() && text.bytes().all(plain)
        };
        let search = self.search.iter().find(|text| !domain(text));
        let options = self.options.iter().find(|text| !option(text));
        let options = options.map(|text| ("--dns-option", text.as_str()));
        search.map(|text| ("--dns-search", text.as_str())).or(options)
    }
}

/// Whether a text can be written down as the name of a host (hosts(5), resolv.conf(5)) and be asked for: up to 63 letters,
/// digits, `-` and `_` between dots.
pub fn is_host_name(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(letter);
    text.len() <= 253 && text.split('.').all(label)
}

/// `--add-host NAME:ADDRESS`, or with `=`: both, for `/etc/hosts`. The address may be `host-gateway`.
pub fn extra_host(text: &str) -> Option<(String, String)> {
    let (name, address) = text.split_once(['=', ':'])?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_address = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
    (is_host_name(name) && is_address).then(|| (name.to_owned(), address.to_owned()))
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

impl NetworkSpec {
    /// Nobody has to make it: containers join it that name none.
    pub fn is_builtin(&self) -> bool {
        match self.name.as_str() {
            DEFAULT_NETWORK => true,
            LOOPBACK_NETWORK => self.driver == Driver::Loopback,
            _ => false,
        }
    }
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

impl Driver {
    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Loopback => "loopback",
        }
    }
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
