//! Docker's words for states, times and ports.

use super::Summary;
use crate::state::Status;
use jiff::Timestamp;
use knarr_core::spec::{Port, Protocol};
use std::time::Duration;

pub(super) fn status(summary: &Summary, now: Timestamp) -> String {
    let since = |at: Option<Timestamp>| {
        let elapsed = at.map_or(0, |at| now.duration_since(at).as_secs());
        human_duration(Duration::from_secs(u64::try_from(elapsed).unwrap_or(0)))
    };
    match summary.status {
        Status::Created => "Created".into(),
        Status::Running => format!("Up {}", since(summary.started)),
        Status::Paused => format!("Up {} (Paused)", since(summary.started)),
        Status::Exited => {
            let code = summary.exit.as_ref().map_or(0, |exit| exit.code);
            format!("Exited ({code}) {} ago", since(summary.finished))
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

/// `0.0.0.0:8080->80/tcp, 90/udp`
pub fn ports(published: &[Port], exposed: &[(u16, Protocol)]) -> String {
    let mut texts = Vec::new();
    for port in published {
        let (container, protocol) = (port.container_port, port.protocol);
        match (port.host_port, port.host_ip) {
            (Some(host), Some(ip)) if ip.is_ipv6() => {
                texts.push(format!("[{ip}]:{host}->{container}/{protocol}"));
            }
            (Some(host), Some(ip)) => texts.push(format!("{ip}:{host}->{container}/{protocol}")),
            (Some(host), None) => texts.push(format!("0.0.0.0:{host}->{container}/{protocol}")),
            (None, _) => texts.push(format!("{container}/{protocol}")),
        }
    }
    for (port, protocol) in exposed {
        let is_published =
            published.iter().any(|p| p.container_port == *port && p.protocol == *protocol);
        if !is_published {
            texts.push(format!("{port}/{protocol}"));
        }
    }
    texts.join(", ")
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
        assert_eq!(ports(&published, &exposed), "127.0.0.1:8080->80/tcp, 53/udp");
    }
}
