//! `restart`: stop, then start; what the container changed in its root file system stays.

use super::stop::{Stop, stop};
use super::{Result, start};
use crate::monitor;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::store::Store;

pub fn restart(store: &Store, id: &ContainerId, options: &Stop) -> Result<()> {
    stop(store, id, options)?;
    start(store, id)
}

/// Waits for the end of a monitor whose guest has ended, so that what follows finds the container at rest.
pub(super) fn settle(root: &Root, id: &ContainerId) -> Result<()> {
    Ok(monitor::wait_for_end(root, id)?)
}
