//! `--network` and the options about names and ways out.

use knarr_core::hint::Hint;
use knarr_core::spec::network::{Attachment, Driver, Mac, Outbound, is_host_name};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, thiserror::Error)]
pub enum InvalidNetwork {
    #[error("{text:?} is not a network")]
    Network { text: String },
    #[error("{text:?}: {field:?} is not a field of a network")]
    Field { text: String, field: String },
    #[error("{text:?}: the value of {field} is not valid")]
    Value { text: String, field: String },
    #[error("the network {first} cannot be combined with {second}")]
    Together { first: String, second: String },
    #[error("network {name} is given twice")]
    Twice { name: String },
    #[error("{option} has no meaning with the network {network}")]
    Meaningless { option: &'static str, network: String },
    #[error("{option} conflicts with --network container:{container}, which is shared as it is")]
    Others { option: &'static str, container: String },
    #[error("{option} is given twice: also within --network {network}")]
    Both { option: &'static str, network: String },
    #[error("{text:?} is not a place to connect to")]
    Outbound { text: String },
    #[error("{text:?} is not a link")]
    Link { text: String },
    #[error("--link {text}: the two containers share no network")]
    LinkApart { text: String },
}

impl Hint for InvalidNetwork {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Network { .. } => {
                "write host, none, container:NAME, or a network's name ('knarr network ls' lists them)".into()
            }
            Self::Field { .. } => {
                "its fields are name, alias, ip, ip6, mac-address and link-local-ip".into()
            }
            Self::Value { .. } => "for example: name=backend,alias=db,ip=172.20.0.10".into(),
            Self::Together { .. } => "a container has one of them, or networks of its own".into(),
            Self::Twice { .. } | Self::Both { .. } => "leave one of the two out".into(),
            Self::Meaningless { .. } => {
                "it belongs to a network of the container's own: knarr network create NAME".into()
            }
            Self::Others { option, container } => {
                format!("leave it out, or give {option} to {container} when you make that one")
            }
            Self::Outbound { .. } => {
                "write HOST[:PORT], where HOST is a name (*.example.com for all below it), an address or a subnet; \
                 none forbids all"
                    .into()
            }
            Self::Link { .. } => "write CONTAINER[:ALIAS], for example db:database".into(),
            Self::LinkApart { .. } => {
                "put both on one network, where containers find each other by name: --network NAME".into()
            }
        })
    }
}

/// What a container asks of the network it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// `--network`, as written; none: the default.
    pub networks: Vec<String>,
    /// `--ip`, `--ip6` and `--network-alias`: for the first network.
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    pub aliases: Vec<String>,
    /// `--mac-address` and `--link-local-ip`: for the first network.
    pub mac: Option<Mac>,
    pub link_local: Vec<IpAddr>,
    /// `--link CONTAINER[:ALIAS]`
    pub links: Vec<String>,
    /// `--network-backend`: what carries the default network.
    pub backend: Option<Driver>,
}

/// [`NetworkOptions`], understood. Names are not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkWish {
    /// What a container gets that asks for nothing, with its names there.
    Default(Attachment),
    Host,
    None,
    /// Name or id of a container.
    Container(String),
    Networks(Vec<Attachment>),
}

impl NetworkOptions {
    pub fn parse(&self) -> Result<NetworkWish, InvalidNetwork> {
        let mut own: Vec<Attachment> = Vec::new();
        for text in &self.networks {
            let other = match text.as_str() {
                "host" => Some(NetworkWish::Host),
                "none" => Some(NetworkWish::None),
                text => match text.strip_prefix("container:") {
                    Some("") => return Err(InvalidNetwork::Network { text: text.to_owned() }),
                    Some(container) => Some(NetworkWish::Container(container.to_owned())),
                    None => None,
                },
            };
            if let Some(wish) = other {
                return self.alone(text, wish);
            }
            let wish = attachment(text)?;
            if own.iter().any(|other| other.network == wish.network) {
                return Err(InvalidNetwork::Twice { name: wish.network });
            }
            own.push(wish);
        }
        let is_default = own.is_empty();
        if is_default {
            own.push(Attachment::default());
        }
        if let Some(first) = own.first_mut() {
            self.complete(first)?;
        }
        match is_default {
            true => Ok(NetworkWish::Default(own.remove(0))),
            false => Ok(NetworkWish::Networks(own)),
        }
    }

    /// `host`, `none` or another container's: nothing else goes with it.
    fn alone(&self, text: &str, wish: NetworkWish) -> Result<NetworkWish, InvalidNetwork> {
        if let Some(second) = self.networks.iter().find(|other| *other != text) {
            let (first, second) = (text.to_owned(), second.clone());
            return Err(InvalidNetwork::Together { first, second });
        }
        let given = [
            ("--ip", self.ipv4.is_some()),
            ("--ip6", self.ipv6.is_some()),
            ("--network-alias", !self.aliases.is_empty()),
            ("--mac-address", self.mac.is_some()),
            ("--link-local-ip", !self.link_local.is_empty()),
            ("--link", !self.links.is_empty()),
            ("--network-backend", self.backend.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(InvalidNetwork::Meaningless { option, network: text.to_owned() })
            }
            None => Ok(wish),
        }
    }

    fn complete(&self, first: &mut Attachment) -> Result<(), InvalidNetwork> {
        let both = |option| InvalidNetwork::Both { option, network: first.network.clone() };
        if self.ipv4.is_some() && first.ipv4.is_some() {
            return Err(both("--ip"));
        }
        if self.ipv6.is_some() && first.ipv6.is_some() {
            return Err(both("--ip6"));
        }
        if self.mac.is_some() && first.mac.is_some() {
            return Err(both("--mac-address"));
        }
        first.mac = first.mac.or(self.mac);
        first.link_local.extend(&self.link_local);
        first.ipv4 = first.ipv4.or(self.ipv4);
        first.ipv6 = first.ipv6.or(self.ipv6);
        first.aliases.extend(self.aliases.iter().cloned());
        Ok(())
    }
}

/// `NAME`, or Docker's long form `name=NAME,alias=A,ip=ADDRESS`.
fn attachment(text: &str) -> Result<Attachment, InvalidNetwork> {
    if !text.contains('=') {
        return match text.is_empty() {
            true => Err(InvalidNetwork::Network { text: text.to_owned() }),
            false => Ok(Attachment { network: text.to_owned(), ..Attachment::default() }),
        };
    }
    let mut wish = Attachment::default();
    for field in text.split(',') {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let invalid =
            || InvalidNetwork::Value { text: text.to_owned(), field: name.trim().to_owned() };
        match name.trim().to_ascii_lowercase().as_str() {
            "name" => wish.network = value.to_owned(),
            "alias" if !value.is_empty() => wish.aliases.push(value.to_owned()),
            "ip" => wish.ipv4 = Some(value.parse().map_err(|_| invalid())?),
            "ip6" => wish.ipv6 = Some(value.parse().map_err(|_| invalid())?),
            "mac-address" => wish.mac = Some(value.parse().map_err(|_| invalid())?),
            "link-local-ip" => wish.link_local.push(value.parse().map_err(|_| invalid())?),
            "alias" => return Err(invalid()),
            _ => {
                let (text, field) = (text.to_owned(), name.to_owned());
                return Err(InvalidNetwork::Field { text, field });
            }
        }
    }
    match wish.network.is_empty() {
        true => Err(InvalidNetwork::Value { text: text.to_owned(), field: "name".into() }),
        false => Ok(wish),
    }
}

/// `--allow-outbound HOST[:PORT]`, several times; `none` allows nothing. `None` if it was not given.
pub fn parse_outbound(texts: &[String]) -> Result<Option<Vec<Outbound>>, InvalidNetwork> {
    if texts.is_empty() {
        return Ok(None);
    }
    let places = texts.iter().filter(|text| *text != "none");
    places.map(|text| outbound(text)).collect::<Result<Vec<_>, _>>().map(Some)
}

fn outbound(text: &str) -> Result<Outbound, InvalidNetwork> {
    let invalid = || InvalidNetwork::Outbound { text: text.to_owned() };
    let port = |port: &str| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(invalid);
    // an address of IPv6 has colons of its own, and brackets where a port follows
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or_else(invalid)? {
            (host, "") => (host, None),
            (host, rest) => (host, Some(port(rest.strip_prefix(':').ok_or_else(invalid)?)?)),
        },
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => (text, None),
            Some((host, number)) => (host, Some(port(number)?)),
            None => (text, None),
        },
    };
    let is_address = host.parse::<IpAddr>().is_ok() || host.parse::<ipnet::IpNet>().is_ok();
    match is_address || is_name(host) {
        true => Ok(Outbound { host: host.to_owned(), port }),
        false => Err(invalid()),
    }
}

fn is_name(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    is_host_name(name.strip_suffix('.').unwrap_or(name)) && name.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(networks: &[&str], more: NetworkOptions) -> Result<NetworkWish, String> {
        let networks = networks.iter().map(|n| (*n).to_owned()).collect();
        NetworkOptions { networks, ..more }.parse().map_err(|e| e.to_string())
    }

    fn plain(networks: &[&str]) -> Result<NetworkWish, String> {
        wish(networks, NetworkOptions::default())
    }

    fn on(network: &str) -> Attachment {
        Attachment { network: network.into(), ..Attachment::default() }
    }

    #[test]
    fn every_form_of_docker() {
        assert_eq!(plain(&[]), Ok(NetworkWish::Default(Attachment::default())));
        assert_eq!(plain(&["host"]), Ok(NetworkWish::Host));
        assert_eq!(plain(&["container:web"]), Ok(NetworkWish::Container("web".into())));
        assert_eq!(plain(&["a", "b"]), Ok(NetworkWish::Networks(vec![on("a"), on("b")])));
        let long = Attachment {
            aliases: vec!["x".into(), "y".into(), "z".into()],
            ipv4: Some([10, 0, 0, 2].into()),
            ..on("a")
        };
        let more = NetworkOptions { aliases: vec!["z".into()], ..NetworkOptions::default() };
        let networks = wish(&["name=a,alias=x,alias=y,ip=10.0.0.2", "b"], more);
        assert_eq!(networks, Ok(NetworkWish::Networks(vec![long, on("b")])));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let ip = || NetworkOptions { ipv4: Some([1, 2, 3, 4].into()), ..NetworkOptions::default() };
        for networks in [
            &["host", "a"][..],
            &["a", "none"],
            &["a", "a"],
            &["container:"],
            &[""],
            &["name=a,ip=x"],
            &["alias=x"],
            &["name=a,color=red"],
        ] {
            assert!(plain(networks).is_err(), "{networks:?}");
        }
        assert!(wish(&["host"], ip()).is_err());
        assert!(wish(&["name=a,ip=1.2.3.5"], ip()).is_err());
        assert!(wish(&["a"], ip()).is_ok());
    }

    #[test]
    fn ways_out() {
        let parsed = |text: &str| {
            let parsed = parse_outbound(&[text.to_owned()]).map_err(|e| e.to_string())?;
            let show = |o: Outbound| (o.host, o.port);
            Ok::<_, String>(parsed.unwrap().into_iter().map(show).collect::<Vec<_>>())
        };
        let one = |host: &str, port| Ok(vec![(host.to_owned(), port)]);
        assert_eq!(parsed("example.com"), one("example.com", None));
        assert_eq!(parsed("*.example.com:443"), one("*.example.com", Some(443)));
        assert_eq!(parsed("10.0.0.0/8:5432"), one("10.0.0.0/8", Some(5432)));
        assert_eq!(parsed("fd00::/8"), one("fd00::/8", None));
        assert_eq!(parsed("[::1]:80"), one("::1", Some(80)));
        assert_eq!(parsed("none"), Ok(vec![]));
        for text in ["", ":80", "a:b", "a:0", "a b", "http://x", "[::1", "10.0.0.0/40"] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_outbound(&[]).unwrap(), None);
    }
}
