//! `--publish-all`, `--expose` and an image's `EXPOSE`.

use super::RunOptions;
use knarr_core::image::config::ExecutionConfig;
use knarr_core::spec::port::{self, InvalidPort};
use knarr_core::spec::{Port, Protocol};
use std::collections::BTreeSet;

/// The image's, the user's, and those that are published.
pub fn exposed(
    config: &ExecutionConfig,
    options: &RunOptions,
) -> Result<Vec<(u16, Protocol)>, InvalidPort> {
    let mut exposed = Vec::new();
    for text in config.exposed_ports.iter().chain(&options.expose) {
        exposed.extend(port::parse_exposed(text)?);
    }
    exposed.extend(options.ports.iter().map(|p| (p.container_port, p.protocol)));
    let mut seen = BTreeSet::new();
    exposed.retain(|port| seen.insert(*port));
    Ok(exposed)
}

pub fn publish_all(ports: &mut Vec<Port>, exposed: &[(u16, Protocol)]) {
    for (container_port, protocol) in exposed.iter().copied() {
        if !ports.iter().any(|p| p.container_port == container_port && p.protocol == protocol) {
            let (host_ip, host_port, host_last) = (None, None, None);
            ports.push(Port { host_ip, host_port, host_last, container_port, protocol });
        }
    }
}
