//! The short forms of volumes, ports and devices.

use std::net::IpAddr;

/// A volume's short form, taken apart.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Volume {
    pub is_bind: bool,
    pub source: String,
    pub target: String,
    pub read_only: bool,
    pub nocopy: bool,
    pub propagation: String,
    pub selinux: String,
    /// A target of one or two letters is all there is: Compose gives it no options.
    pub bare: bool,
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`. Options that nobody knows are ignored.
pub(crate) fn volume(text: &str) -> Result<Volume, String> {
    match text.len() {
        0 => return Err("a volume cannot be empty".into()),
        1 | 2 => return Ok(Volume { target: text.into(), bare: true, ..Volume::default() }),
        _ => {}
    }
    let mut volume = Volume::default();
    let parts = sections(text);
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let last = index + 1 == count;
        if part.is_empty() {
            return Err(format!("'{text}' has nothing between two colons"));
        }
        if volume.source.is_empty() && last {
            volume.target = part;
        } else if volume.source.is_empty() {
            volume.source = part;
        } else if volume.target.is_empty() {
            volume.target = part;
        } else if !last {
            return Err(format!("'{text}' has too many colons"));
        } else {
            options(&part, &mut volume);
        }
    }
    volume.is_bind = is_path(&volume.source);
    Ok(volume)
}

/// The parts between colons; those in `${…}`, and the one after a drive's letter, are none.
fn sections(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut open = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut();
        let drive = part.as_ref().is_some_and(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
        });
        match c {
            '$' if chars.peek() == Some(&'{') => open += 1,
            '}' => open = open.saturating_sub(1),
            ':' if open == 0 && !drive => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = part {
            part.push(c);
        }
    }
    parts
}

fn options(text: &str, volume: &mut Volume) {
    for option in text.split(',') {
        match option {
            "ro" => volume.read_only = true,
            "rw" => volume.read_only = false,
            "nocopy" => volume.nocopy = true,
            "z" | "Z" => volume.selinux = option.into(),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                volume.propagation = option.into();
            }
            _ => {}
        }
    }
}

fn is_path(source: &str) -> bool {
    let mut chars = source.chars();
    let drive = chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':');
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || drive
}

/// A port's short form, taken apart: one for each port in the container.
#[derive(Debug, PartialEq)]
pub(crate) struct Port {
    pub host_ip: String,
    pub target: u16,
    pub published: String,
    pub protocol: String,
}

/// Reads `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, with ranges.
pub(crate) fn ports(text: &str) -> Result<Vec<Port>, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (ip, host, container) = match parts.as_slice() {
        [container] => (String::new(), "", *container),
        [ip @ .., host, container] => (ip.join(":"), *host, *container),
        [] => return Err("no port".into()),
    };
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    if container.is_empty() {
        return Err(format!("'{text}' has no port of the container"));
    }
    let protocol = if protocol.is_empty() { "tcp".into() } else { protocol.to_lowercase() };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("'{protocol}' is no protocol: tcp, udp or sctp"));
    }
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(&ip);
    if !bare.is_empty() && bare.split('%').next().is_none_or(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(format!("'{ip}' is no IP address"));
    }
    let (start, end) = range(container).ok_or_else(|| format!("'{container}' is no port"))?;
    let published = match host {
        "" => None,
        host => Some(range(host).ok_or_else(|| format!("'{host}' is no port of the host"))?),
    };
    if let Some((first, last)) = published
        && end - start != last - first
        && end != start
    {
        return Err(format!("the ranges '{host}' and '{container}' differ in length"));
    }
    let mut ports: Vec<Port> = (0..=end - start)
        .map(|offset| Port {
            host_ip: bare.to_owned(),
            target: start + offset,
            published: match published {
                None => String::new(),
                // one port of the container takes any out of the host's range
                Some((first, last)) if start == end && first != last => format!("{first}-{last}"),
                Some((first, _)) => (first + offset).to_string(),
            },
            protocol: protocol.clone(),
        })
        .collect();
    // Compose sorts them as text
    ports.sort_by_key(|port| format!("{}/{}", port.target, port.protocol));
    Ok(ports)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.strip_prefix('+').unwrap_or(text).parse::<u16>().ok();
    let (start, end) = (port(start)?, port(end)?);
    (start <= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::{ports, volume};

    fn show(text: &str) -> String {
        match ports(text) {
            Err(_) => "error".into(),
            Ok(ports) => {
                let shown = ports
                    .iter()
                    .map(|p| format!("{}|{}|{}|{}", p.host_ip, p.published, p.target, p.protocol));
                shown.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn ports_are_taken_apart() {
        let rows = [
            ("80", "||80|tcp"),
            ("8080:80/udp", "|8080|80|udp"),
            ("127.0.0.1:8080:80", "127.0.0.1|8080|80|tcp"),
            ("127.0.0.1::80", "127.0.0.1||80|tcp"),
            ("[::1]:8080:80", "::1|8080|80|tcp"),
            ("::1:8080:80", "::1|8080|80|tcp"),
            ("8000-8001:80", "|8000-8001|80|tcp"),
            ("8000-8001:80-81", "|8000|80|tcp |8001|81|tcp"),
            ("9-10", "||10|tcp ||9|tcp"),
            ("8000-8002:80-81", "error"),
            ("x:80", "error"),
            ("80:", "error"),
            ("70000", "error"),
            ("80/icmp", "error"),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn volumes_are_taken_apart() {
        let parts = |text: &str| volume(text).map(|v| (v.is_bind, v.source, v.target, v.read_only));
        let row =
            |bind, source: &str, target: &str, ro| Ok((bind, source.into(), target.into(), ro));
        assert_eq!(parts("/data"), row(false, "", "/data", false));
        assert_eq!(parts("data:/data:ro"), row(false, "data", "/data", true));
        assert_eq!(parts("./a:/b:rw,z"), row(true, "./a", "/b", false));
        assert_eq!(parts("c:\\a:/b"), row(true, "c:\\a", "/b", false));
        assert_eq!(parts("${A:-x}:/b"), row(false, "${A:-x}", "/b", false));
        assert!(volume("aa::b").is_err());
        assert!(volume("a1:b1:ro:x").is_err());
    }
}
