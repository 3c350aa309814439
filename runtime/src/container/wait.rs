//! `wait`: the exit code of a container, once it has one.

use super::Result;
use crate::monitor::{self, client::Connection, client::Request};
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Waits until the container does not run, and returns its exit code; 0 if it was never started (as Docker does).
pub fn wait(store: &Store, id: &ContainerId) -> Result<u8> {
    let root = store.root();
    loop {
        match Connection::open(root, id).and_then(|mut c| c.until_exit(&Request::Wait)) {
            Ok(exit) => return Ok(exit.code),
            Err(monitor::Error::NotRunning { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        let Some(container) = reconcile::container(root, id)? else {
            return Err(state::Error::Gone { id: id.clone() }.into());
        };
        if monitor::goes_on(root, id)? {
            // its next life counts, as in Docker
            continue;
        }
        if !container.state.is_alive() {
            return Ok(container.state.exit.map_or(0, |exit| exit.code));
        }
        // its monitor is between the guest's end and the record of it
        monitor::wait_for_end(root, id)?;
    }
}
