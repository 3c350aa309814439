//! Becoming the monitor of a container, and waiting until nobody is.

use super::Error;
use super::client::Connection;
use crate::reconcile::{self, Unowned};
use crate::state::{self, Container, Locked, Status};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::sys;

/// A container that this process is the monitor of.
pub(super) struct Owned {
    pub container: Container,
    pub state: Locked,
    /// Held for the monitor's whole life.
    pub monitor: Lock,
}

/// Takes the container from nobody. Waits for a monitor that is tearing down the last run.
pub(super) fn take(root: &Root, id: &ContainerId) -> Result<Owned, Error> {
    loop {
        if let Some(Unowned { container, state }) = reconcile::take(root, id)? {
            // the mark of unfinished work, see reconcile
            let run = root.container(id).run().to_owned();
            sys::create_private_dir_all(&run)?;
            let monitor = Lock::exclusive_directory(&run)?;
            return Ok(Owned { container, state, monitor });
        }
        // A monitor lives. It listens from the moment it takes the lock; if it answers, its guest runs.
        if is_running(root, id) {
            return Err(Error::AlreadyRunning { id: id.clone() });
        }
        // it is past its guest's end, or has failed to start
        if !goes_on(root, id)? {
            wait_for_end(root, id)?;
        }
    }
}

/// Whether the container's state allows a start.
pub(super) fn check_startable(state: &Locked) -> Result<(), Error> {
    state.state().startable().map_err(|(from, to)| {
        state::Error::IllegalTransition { id: state.id().clone(), from, to }.into()
    })
}

/// Whether a guest runs, or will run again by itself, by its monitor's own word.
pub fn is_running(root: &Root, id: &ContainerId) -> bool {
    Connection::open(root, id).is_ok_and(|mut connection| connection.is_running())
}

/// Whether a container whose monitor gave no answer has a keeper that will give one.
pub fn goes_on(root: &Root, id: &ContainerId) -> Result<bool, Error> {
    let found = reconcile::container(root, id)?;
    Ok(found.is_some_and(|Container { spec, state }| {
        state.status == Status::Restarting || state.is_alive() && spec.may_come_back()
    }))
}

/// Waits until no monitor owns the container; a container that is gone has none.
pub fn wait_for_end(root: &Root, id: &ContainerId) -> Result<(), state::Error> {
    match Lock::shared_directory(root.container(id).run()) {
        Ok(_released) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
    }
}
