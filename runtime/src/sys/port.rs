//! Ports of the host.

use knarr_core::fsx;
use std::path::Path;

/// What to do where a port of the host could not be bound, by the error's number.
pub fn hint(port: u16, code: Option<i32>) -> Option<String> {
    match code? {
        libc::EADDRINUSE => {
            Some("publish on another port, or on a free one: -p CONTAINER_PORT".into())
        }
        libc::EADDRNOTAVAIL => Some(
            "no interface of this host has that address; without one all are published on".into(),
        ),
        libc::EACCES | libc::EPERM if port > 0 => {
            let first = first_of_everybody();
            // 80 becomes 8080, 443 8443
            let other =
                if port < first { u32::from(first).max(8000 + u32::from(port)) } else { 8080 };
            Some(format!(
                "ports below {first} are the superuser's (net.ipv4.ip_unprivileged_port_start): publish on a higher one, \
                 -p {other}:CONTAINER_PORT, or as the superuser: sysctl net.ipv4.ip_unprivileged_port_start={port}"
            ))
        }
        _ => None,
    }
}

/// The first port that an ordinary user may bind (ip-sysctl).
fn first_of_everybody() -> u16 {
    let path = Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let text = fsx::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ports_have_a_way_out() {
        let said = hint(80, Some(libc::EACCES)).unwrap();
        assert!(said.contains("net.ipv4.ip_unprivileged_port_start=80"), "{said}");
        assert!(hint(0, Some(libc::EACCES)).is_none() && hint(80, None).is_none());
    }
}
