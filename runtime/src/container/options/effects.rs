//! Options that the network of a container leaves without effect: refused where they contradict it, told of elsewhere.

use super::{InvalidNetwork, NetworkWish, RunOptions};
use crate::net;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode};

/// Whoever shares another container's network has its addresses, ports and names.
pub fn check_network(wish: &NetworkWish, options: &RunOptions) -> Result<(), InvalidNetwork> {
    let NetworkWish::Container(other) = wish else { return Ok(()) };
    let dns = &options.dns;
    let given = [
        ("--publish", !options.ports.is_empty()),
        ("--publish-all", options.publish_all),
        ("--expose", !options.expose.is_empty()),
        ("--hostname", options.hostname.is_some()),
        ("--domainname", options.domainname.is_some()),
        ("--dns", !dns.servers.is_empty()),
        ("--dns-search", !dns.search.is_empty()),
        ("--dns-option", !dns.options.is_empty()),
        ("--add-host", !options.extra_hosts.is_empty()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(InvalidNetwork::Others { option, container: other.clone() }),
        None => Ok(()),
    }
}

/// What is said of the options of a container that have no effect on its network.
pub fn without_effect(root: &Root, spec: &ContainerSpec, options: &RunOptions) -> Vec<String> {
    let mut said = Vec::new();
    let publishes = !spec.ports.is_empty() || options.publish_all;
    let exposes = !options.expose.is_empty();
    match &spec.network {
        // a Wasm guest there binds the ports that are published
        NetworkMode::Host if spec.engine == EngineKind::Native => {
            if publishes {
                said.push("Published ports are discarded when using host network mode".into());
            }
            if exposes {
                said.push("--expose has no effect with the network host".into());
            }
        }
        NetworkMode::None => {
            let dns = &options.dns;
            let given = [
                (publishes, "published ports are"),
                (exposes, "--expose is"),
                (!dns.servers.is_empty(), "--dns is"),
                (!dns.search.is_empty(), "--dns-search is"),
                (!dns.options.is_empty(), "--dns-option is"),
            ];
            let given = given.into_iter().filter(|(given, _)| *given);
            said.extend(
                given.map(|(_, what)| format!("{what} without effect with the network none")),
            );
        }
        NetworkMode::Networks(wishes) if publishes => {
            let is_internal = |name: &str| {
                net::load(root, name).ok().flatten().is_some_and(|network| network.internal)
            };
            if wishes.iter().all(|wish| is_internal(&wish.network)) {
                said.push("published ports do not lead into an internal network".into());
            }
        }
        _ => {}
    }
    said
}
