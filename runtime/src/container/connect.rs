//! `network connect` and `network disconnect`.

use super::Result;
use crate::monitor::client::{Connection, Request};
use crate::{monitor, net, reconcile, state};
use knarr_core::events;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{Attachment, NetworkMode};

/// Gives a container a place on a further network: at once if it runs, else at its start.
pub fn connect(root: &Root, id: &ContainerId, wish: &Attachment) -> Result<()> {
    let container = settled(root, id)?;
    let network = net::find(root, &wish.network)?;
    net::connect(root, &container, wish, &mut |_| Ok(()))?;
    let told = tell(root, &container);
    if told.is_ok() {
        tell_of(root, &container, &network, "connect");
    }
    if told.is_err() {
        // the cause matters more than what is left, which is found when the container ends
        let _ = disconnect(root, id, &wish.network);
    }
    told
}

/// Takes a container from a network.
pub fn disconnect(root: &Root, id: &ContainerId, network: &str) -> Result<()> {
    let container = settled(root, id)?;
    let found = net::find(root, network)?;
    net::disconnect(root, &container, network)?;
    tell_of(root, &container, &found, "disconnect");
    tell(root, &container)
}

/// Of a container that does not run it is told when it does.
fn tell_of(root: &Root, container: &state::Container, network: &NetworkSpec, action: &str) {
    if container.state.is_alive() {
        let event = net::event(network, action).with("container", container.id().as_str());
        events::tell(root, &[event]);
    }
}

/// The container, once it is known whether it runs: one that is being started connects to the networks that it had when it
/// began.
fn settled(root: &Root, id: &ContainerId) -> Result<state::Container> {
    if monitor::is_running(root, id) {
        return Ok(state::load(root, id)?);
    }
    let container = reconcile::container(root, id)?;
    Ok(container.ok_or_else(|| state::Error::Gone { id: id.clone() })?)
}

/// Tells whoever has a part in the container's networks that they have changed.
fn tell(root: &Root, container: &state::Container) -> Result<()> {
    let id = container.id();
    let mut audience = Vec::new();
    if container.state.is_alive() {
        audience.push(id.clone());
    }
    if root.container(id).network_shared().exists() {
        let all = state::all(root)?.into_iter().flatten();
        let sharers = all.filter(|other| {
            other.state.is_alive() && other.spec.network == NetworkMode::Container(id.clone())
        });
        audience.extend(sharers.map(|other| other.spec.id));
    }
    for id in audience {
        let told = Connection::open(root, &id).and_then(|mut c| c.order(&Request::Networks));
        match told {
            // it has ended meanwhile
            Err(monitor::Error::NotRunning { .. }) => {}
            told => told?,
        }
    }
    Ok(())
}
