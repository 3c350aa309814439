//! `EXPOSE`.

use super::super::error::{Error, Problem};
use super::super::expand::Scope;
use super::super::source::Word;
use std::ops::RangeInclusive;

/// One word of an `EXPOSE`, expanded and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    pub ports: RangeInclusive<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// An address or a port of the host stood before it. It means nothing here, and a lint rule says so.
    pub mapped: bool,
    /// As it was written: `TCP` is the same as `tcp`, and another lint rule.
    pub written_protocol: Option<String>,
}

/// The ports of expanded words, as an image's config spells them: `80/tcp`, a range as one for each.
pub fn ports(words: &[Word], scope: &Scope) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for word in words {
        let invalid = || scope.error(word.span, Problem::Port { port: word.value.clone() });
        let exposed = port(word).ok_or_else(invalid)?;
        names.extend(exposed.ports.map(|port| format!("{port}/{}", exposed.protocol)));
    }
    Ok(names)
}

/// Reads `[[ip:]host-port:]port[-port][/protocol]`.
pub fn port(text: &str) -> Option<Exposed> {
    let (before, last) = match text.rsplit_once(':') {
        Some((before, last)) => (Some(before), last),
        None => (None, text),
    };
    let (ports, written) = match last.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol).filter(|protocol| !protocol.is_empty())),
        None => (last, None),
    };
    let protocol = match written.map(str::to_ascii_lowercase).as_deref() {
        None | Some("tcp") => "tcp",
        Some("udp") => "udp",
        Some("sctp") => "sctp",
        Some(_) => return None,
    };
    let ports = range(ports)?;
    let mapped = before.is_some_and(|before| !before.trim_matches(':').is_empty());
    if let Some(before) = before {
        let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
        let address =
            address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            return None;
        }
        if !host.is_empty() {
            let host = range(host)?;
            let (many, own) = (host.len(), ports.len());
            if many != own && own != 1 {
                return None;
            }
        }
    }
    Some(Exposed { ports, protocol, mapped, written_protocol: written.map(str::to_owned) })
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| text.strip_prefix('+').unwrap_or(text).parse::<u16>().ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_ranges_and_protocols() {
        let read = |text| port(text).map(|found| (found.ports, found.protocol, found.mapped));
        assert_eq!(read("80"), Some((80..=80, "tcp", false)));
        assert_eq!(read("53/UDP"), Some((53..=53, "udp", false)));
        assert_eq!(read("8000-8010/sctp"), Some((8000..=8010, "sctp", false)));
        assert_eq!(read("80/"), Some((80..=80, "tcp", false)));
        assert_eq!(read("8080:80"), Some((80..=80, "tcp", true)));
        assert_eq!(read("127.0.0.1:8080:80/udp"), Some((80..=80, "udp", true)));
        assert_eq!(read("[::1]:8080:80"), Some((80..=80, "tcp", true)));
        assert_eq!(read("::80"), Some((80..=80, "tcp", false)));
        assert_eq!(read("8000-8001:80"), Some((80..=80, "tcp", true)));
        for bad in [
            "",
            "/tcp",
            "65536",
            "-1",
            "80-",
            "90-80",
            "http",
            "80/icmp",
            "x:80",
            "1.2.3:1:80",
            "1-2:80-85",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
