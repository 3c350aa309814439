//! `start`: runs a container in the background.

use super::Result;
use crate::monitor::{self, Spawn};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Returns when the guest runs. A container that runs already is started.
pub fn start(store: &Store, id: &ContainerId) -> Result<()> {
    match monitor::spawn(store.root(), id, Spawn::default()) {
        Err(monitor::Error::Failed(failure)) if failure.is(monitor::Kind::AlreadyRunning) => Ok(()),
        result => Ok(result?),
    }
}
