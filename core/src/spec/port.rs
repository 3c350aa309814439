//! Published ports: `-p [IP:][HOST]:CONTAINER[/PROTOCOL]`, with ranges.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `None`: all addresses of the host.
    pub host_ip: Option<IpAddr>,
    /// `None`: a free one is chosen at start.
    pub host_port: Option<u16>,
    /// The last one of a range that begins with `host_port`: a free one of them is chosen at start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_last: Option<u16>,
    pub container_port: u16,
    pub protocol: Protocol,
}

impl Port {
    /// The ports of the host that it may have, in the order in which they are tried; 0: any free one.
    pub fn host_ports(&self) -> std::ops::RangeInclusive<u16> {
        let first = self.host_port.unwrap_or(0);
        first..=self.host_last.unwrap_or(first)
    }

    /// With this port of the host.
    #[must_use]
    pub fn with_host_port(&self, number: u16) -> Self {
        let host_port = (number > 0).then_some(number);
        Self { host_port, host_last: None, ..self.clone() }
    }

    /// The host's part as it was asked for: `8080`, `8080-8090`; empty for any port.
    pub fn host_text(&self) -> String {
        match (self.host_port, self.host_last) {
            (Some(first), Some(last)) => format!("{first}-{last}"),
            (Some(port), None) => port.to_string(),
            (None, _) => String::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidPort {
    #[error("{text:?} is not a published port: {part:?} is not a {kind}")]
    Part { text: String, part: String, kind: &'static str },
    #[error("{text:?}: the host's range and the container's range differ in length")]
    Ranges { text: String },
    #[error("{text:?} is not a port to expose")]
    Exposed { text: String },
}

impl crate::hint::Hint for InvalidPort {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exposed { .. } => "write PORT[-PORT][/tcp|udp]; -p publishes a port on the host".into(),
            Self::Ranges { .. } => {
                "write ranges of one length, or one port of the container for any free one of the host's range".into()
            }
            Self::Part { .. } => {
                "write [IP:][HOST_PORT:]CONTAINER_PORT[/tcp|udp], for example 8080:80, 127.0.0.1:8080:80 or \
                 8000-8010:80 (any free one of these)"
                    .into()
            }
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl std::str::FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(text.to_owned()),
        }
    }
}

/// Parses one `-p` argument; a range gives several ports.
pub fn parse(text: &str) -> Result<Vec<Port>, InvalidPort> {
    let part =
        |part: &str, kind| InvalidPort::Part { text: text.to_owned(), part: part.to_owned(), kind };
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, p)) => (rest, p.parse().map_err(|p: String| part(&p, "protocol"))?),
        None => (text, Protocol::Tcp),
    };
    let (rest, container) = match rest.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, rest),
    };
    let container = range(container).ok_or_else(|| part(container, "port"))?;
    let (ip, host) = match rest {
        None => (None, ""),
        Some(rest) if rest.starts_with('[') => {
            let (ip, host) = rest[1..].split_once(']').ok_or_else(|| part(rest, "address"))?;
            (Some(ip), host.trim_start_matches(':'))
        }
        Some(rest) => match rest.rsplit_once(':') {
            Some((ip, host)) => (Some(ip), host),
            // `127.0.0.1::80` and `127.0.0.1:80` both mean a free port on that address
            None if rest.parse::<IpAddr>().is_ok() => (Some(rest), ""),
            None => (None, rest),
        },
    };
    let host_ip = match ip {
        None | Some("") => None,
        Some(ip) => Some(ip.parse().map_err(|_| part(ip, "address"))?),
    };
    let count = container.1 - container.0;
    let host = match host {
        "" | "0" => None,
        host => Some(range(host).ok_or_else(|| part(host, "port"))?),
    };
    let port = |i| Port {
        host_ip,
        host_port: host.map(|(first, _)| first + i),
        host_last: None,
        container_port: container.0 + i,
        protocol,
    };
    match host {
        Some((first, last)) if count == 0 && last > first => {
            Ok(vec![Port { host_last: Some(last), ..port(0) }])
        }
        Some((first, last)) if last - first != count => {
            Err(InvalidPort::Ranges { text: text.to_owned() })
        }
        _ => Ok((0..=count).map(port).collect()),
    }
}

/// Parses one `EXPOSE` or `--expose` item: `PORT[-PORT][/PROTOCOL]`.
pub fn parse_exposed(text: &str) -> Result<Vec<(u16, Protocol)>, InvalidPort> {
    if text.contains(':') {
        return Err(InvalidPort::Exposed { text: text.to_owned() });
    }
    Ok(parse(text)?.into_iter().map(|p| (p.container_port, p.protocol)).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |p: Port| {
            let ip = p.host_ip.map_or("*".into(), |ip| ip.to_string());
            let host = if p.host_port.is_some() { p.host_text() } else { "?".into() };
            format!("{ip} {host} {} {}", p.container_port, p.protocol)
        };
        parse(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn every_form_of_docker() {
        assert_eq!(shown("80"), ["* ? 80 tcp"]);
        assert_eq!(shown("8080:80"), ["* 8080 80 tcp"]);
        assert_eq!(shown("8080:80/udp"), ["* 8080 80 udp"]);
        assert_eq!(shown("127.0.0.1:8080:80"), ["127.0.0.1 8080 80 tcp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1 ? 80 tcp"]);
        assert_eq!(shown("[::1]:8080:80"), ["::1 8080 80 tcp"]);
        assert_eq!(shown("8000-8001:80-81"), ["* 8000 80 tcp", "* 8001 81 tcp"]);
        assert_eq!(shown("0:80"), ["* ? 80 tcp"]);
        assert_eq!(shown("[::1]:0:80/udp"), ["::1 ? 80 udp"]);
        assert_eq!(shown("8000-8001"), ["* ? 8000 tcp", "* ? 8001 tcp"]);
        assert_eq!(shown("8000-8002:80"), ["* 8000-8002 80 tcp"]);
        assert_eq!(shown("8000-8000:80"), ["* 8000 80 tcp"]);
        assert_eq!(shown("127.0.0.1:8000-8002:80/udp"), ["127.0.0.1 8000-8002 80 udp"]);
        assert_eq!(shown("[::1]:8000-8001:80-81"), ["::1 8000 80 tcp", "::1 8001 81 tcp"]);
        for text in [
            "",
            "x",
            "0",
            "65536",
            "1:2:3",
            "8000-8002:80-81",
            "8000:80-81",
            "0-5:80",
            "80:0",
            "80/icmp",
            "9-8",
            ":",
            "a.b:1:2",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn exposed_ports() {
        let of = |text| parse_exposed(text).map_err(|e| e.to_string());
        assert_eq!(of("53-54/udp"), Ok(vec![(53, Protocol::Udp), (54, Protocol::Udp)]));
        for text in ["80:80", "127.0.0.1:80", "0", "80/icmp"] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }
}
