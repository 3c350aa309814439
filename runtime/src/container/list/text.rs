//! Docker's words for states, times and ports.

use super::Summary;
use crate::state::{HealthStatus, Status};
use jiff::Timestamp;
use knarr_core::spec::{Port, Protocol};
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn status(summary: &Summary, now: Timestamp) -> String {
    let since = |at: Option<Timestamp>| {
        let elapsed = at.map_or(0, |at| now.duration_since(at).as_secs());
        human_duration(Duration::from_secs(u64::try_from(elapsed).unwrap_or(0)))
    };
    match summary.status {
        Status::Created => "Created".into(),
        Status::Running => {
            let health = match summary.health {
                None => String::new(),
                Some(HealthStatus::Starting) => " (health: starting)".into(),
                Some(health) => format!(" ({health})"),
            };
            format!("Up {}{health}", since(summary.started))
        }
        Status::Paused => format!("Up {} (Paused)", since(summary.started)),
        Status::Exited => {
            let code = summary.exit.as_ref().map_or(0, |exit| exit.code);
            format!("Exited ({code}) {} ago", since(summary.finished))
        }
        Status::Restarting => {
            let code = summary.exit.as_ref().map_or(0, |exit| exit.code);
            format!("Restarting ({code}) {} ago", since(summary.finished))
        }
        Status::Removing => "Removal In Progress".into(),
    }
}

/// A length of time in about two words (Docker's go-units, `HumanDuration`).
pub fn human_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

/// `0.0.0.0:8080->80/tcp, 0.0.0.0:9000-9002->9000-9002/tcp, 90/udp`: as Docker, ports in a row that keep their numbers are
/// one range.
pub fn ports(published: &[Port], exposed: &[(u16, Protocol)]) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for port in published {
        let host = port.host_port.map(|host| (host_address(port), host));
        rows.push(Row { container: port.container_port, protocol: port.protocol, host });
    }
    for (port, protocol) in exposed {
        if !published.iter().any(|p| p.container_port == *port && p.protocol == *protocol) {
            rows.push(Row { container: *port, protocol: *protocol, host: None });
        }
    }
    rows.sort();
    let (mut texts, mut moved, mut open) = (Vec::new(), Vec::new(), Vec::<Range>::new());
    for row in rows {
        let address = match row.host {
            Some((address, host)) if host != row.container => {
                let (container, protocol) = (row.container, row.protocol);
                moved.push(format!("{}->{container}/{protocol}", join(address, host)));
                continue;
            }
            Some((address, _)) => Some(address),
            None => None,
        };
        let same = |range: &&mut Range| (range.address, range.protocol) == (address, row.protocol);
        match open.iter_mut().find(same) {
            Some(range) if range.last.checked_add(1) == Some(row.container) => {
                range.last = row.container;
            }
            Some(range) => {
                texts.push(range.text());
                (range.first, range.last) = (row.container, row.container);
            }
            None => open.push(Range {
                address,
                protocol: row.protocol,
                first: row.container,
                last: row.container,
            }),
        }
    }
    texts.extend(open.iter().map(Range::text));
    texts.extend(moved);
    texts.join(", ")
}

/// One port, in Docker's order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    container: u16,
    host: Option<(IpAddr, u16)>,
    protocol: Protocol,
}

struct Range {
    address: Option<IpAddr>,
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl Range {
    fn text(&self) -> String {
        let Self { address, protocol, first, last } = self;
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        match address {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{ports}->{ports}/{protocol}"),
            Some(ip) => format!("{ip}:{ports}->{ports}/{protocol}"),
            None => format!("{ports}/{protocol}"),
        }
    }
}

fn join(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// The address that a port is published on.
pub fn host_address(port: &Port) -> IpAddr {
    port.host_ip.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7 * 3600, "7 hours"),
            (50 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (70 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn port_lists() {
        let published = knarr_core::spec::port::parse("127.0.0.1:8080:80").unwrap();
        let exposed = [(80, Protocol::Tcp), (53, Protocol::Udp)];
        assert_eq!(ports(&published, &exposed), "53/udp, 127.0.0.1:8080->80/tcp");
        let parse = |texts: &[&str]| {
            let all = texts.iter().map(|text| knarr_core::spec::port::parse(text).unwrap());
            all.collect::<Vec<_>>().concat()
        };
        let both = parse(&["5000:5000", "[::]:5000:5000"]);
        assert_eq!(ports(&both, &[]), "0.0.0.0:5000->5000/tcp, [::]:5000->5000/tcp");
        let range = parse(&["8000-8002:8000-8002", "8004:8004", "9:8003"]);
        assert_eq!(
            ports(&range, &[(22, Protocol::Tcp)]),
            "0.0.0.0:8000-8002->8000-8002/tcp, 22/tcp, 0.0.0.0:8004->8004/tcp, 0.0.0.0:9->8003/tcp"
        );
    }
}
