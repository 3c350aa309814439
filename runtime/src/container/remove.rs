//! `rm`: deletes a container.

use super::{Error, Result};
use crate::monitor::{self, client::Connection, client::Request};
use crate::reconcile;
use crate::state;
use crate::sys::signal::Signal;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::store::Store;

#[derive(Debug, Clone, Copy, Default)]
pub struct Remove {
    /// Kill a running one; delete one whose record is damaged.
    pub force: bool,
    /// Its anonymous volumes as well.
    pub volumes: bool,
}

/// Deletes a container. One that vanishes meanwhile is deleted.
pub fn remove(store: &Store, id: &ContainerId, options: Remove) -> Result<()> {
    let root = store.root();
    loop {
        match reconcile::take(root, id) {
            Ok(Some(mut unowned)) => {
                unowned.state.apply(state::ContainerState::removing)?;
                return Ok(reconcile::remove(root, unowned, options.volumes)?);
            }
            Ok(None) => end(root, id, options.force)?,
            Err(reconcile::Error::State(state::Error::Gone { .. })) => return Ok(()),
            Err(reconcile::Error::State(state::Error::Damaged { .. })) if options.force => {
                match reconcile::remove_damaged(root, id)? {
                    true => return Ok(()),
                    false => end(root, id, true)?,
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until no monitor owns the container; ends its guest if that may be.
fn end(root: &Root, id: &ContainerId, force: bool) -> Result<()> {
    // a monitor that listens has a guest or is about to have one; the others are on their way out
    if let Ok(mut connection) = Connection::open(root, id) {
        let request = match force {
            true => Request::Stop { signal: Signal::KILL.number(), timeout: -1 },
            false => Request::Ping,
        };
        match connection.ask(&request) {
            Ok(_) if !force => {
                let name = state::load(root, id)?.state.name;
                return Err(Error::Running { name });
            }
            Ok(_) | Err(monitor::Error::NotRunning { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(monitor::wait_for_end(root, id)?)
}
