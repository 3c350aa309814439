//! `network connect` and `network disconnect`.

use super::Result;
use crate::{monitor, net, reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::Attachment;

/// Gives a container a place on a further network: at once if it runs, else at its start.
pub fn connect(root: &Root, id: &ContainerId, wish: &Attachment) -> Result<()> {
    Ok(net::connect(root, &settled(root, id)?, wish)?)
}

/// Takes a container from a network.
pub fn disconnect(root: &Root, id: &ContainerId, network: &str) -> Result<()> {
    Ok(net::disconnect(root, &settled(root, id)?, network)?)
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
