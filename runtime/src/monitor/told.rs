//! What a container's monitor tells of a life: one write at its begin, one at its end.

use crate::net::{self, Endpoint};
use crate::state::{self, ContainerState, Exit};
use crate::volume;
use jiff::Timestamp;
use knarr_core::events::{self, Event};
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode};

/// The guest runs. `attached`: somebody has had its streams from the first byte on.
pub(super) fn start(
    root: &Root,
    spec: &ContainerSpec,
    state: &ContainerState,
    places: &[(NetworkSpec, Endpoint)],
    attached: bool,
) {
    let mut told = Vec::new();
    if attached {
        told.push(state::event(spec, &state.name, "attach"));
    }
    for mount in &spec.mounts {
        if let Some(volume) = mount.volume() {
            let event = of_container(spec, volume::event(&volume.name, "mount"));
            let event = event.with("destination", &mount.target);
            let writable = (!mount.read_only).to_string();
            told.push(event.with("read/write", writable).with("propagation", ""));
        }
    }
    told.extend(of_networks(spec, places, "connect"));
    told.push(state::event(spec, &state.name, "start"));
    events::tell(root, &told);
}

/// The guest has ended. `stopped`: as `stop` wanted it.
pub(super) fn end(
    root: &Root,
    spec: &ContainerSpec,
    state: &ContainerState,
    places: &[(NetworkSpec, Endpoint)],
    exit: &Exit,
    stopped: bool,
) {
    let event = |action: &str| state::event(spec, &state.name, action);
    let mut told: Vec<Event> = of_networks(spec, places, "disconnect").collect();
    for volume in spec.mounts.iter().filter_map(|mount| mount.volume()) {
        told.push(of_container(spec, volume::event(&volume.name, "unmount")));
    }
    if exit.oom_killed {
        told.push(event("oom"));
    }
    let lived = state
        .started
        .map_or(0, |started| Timestamp::now().duration_since(started).as_secs().max(0));
    let died = event("die").with("exitCode", exit.code.to_string());
    told.push(died.with("execDuration", lived.to_string()));
    if stopped {
        told.push(event("stop"));
    }
    events::tell(root, &told);
}

fn of_networks<'a>(
    spec: &'a ContainerSpec,
    places: &'a [(NetworkSpec, Endpoint)],
    action: &'a str,
) -> impl Iterator<Item = Event> + use<'a> {
    // another container's are told with that one
    let own = matches!(spec.network, NetworkMode::Networks(_));
    let networks = places.iter().map(|(network, _)| network).filter(move |_| own);
    networks.map(move |network| of_container(spec, net::event(network, action)))
}

fn of_container(spec: &ContainerSpec, event: Event) -> Event {
    event.with("container", spec.id.as_str())
}
