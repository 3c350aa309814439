//! `kill`: sends a signal to the guest.

use super::stop::end;
use super::{Error, Result};
use crate::monitor::{self, client::Connection, client::Request};
use crate::state::Status;
use crate::sys::signal::Signal;
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Sends a signal, by name or number, to a running container. SIGKILL: returns when the guest has ended. One that waits
/// for its next life gets none.
pub fn kill(store: &Store, id: &ContainerId, signal: &str) -> Result<()> {
    let signal: Signal = signal.parse()?;
    let root = store.root();
    let Some(container) = reconcile::container(root, id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let not_running = || Error::NotRunning { name: container.state.name.clone() };
    if !container.state.is_alive() && container.state.status != Status::Restarting {
        return Err(not_running());
    }
    if signal == Signal::KILL {
        let request = Request::Stop { signal: signal.number(), timeout: -1 };
        return match end(root, id, &request)? {
            true => Ok(()),
            false => Err(not_running()),
        };
    }
    let request = Request::Signal { signal: signal.number() };
    loop {
        // the answer to a signal between two lives is the end
        match Connection::open(root, id).and_then(|mut connection| connection.ask(&request)) {
            Ok(_) => return Ok(()),
            Err(monitor::Error::NotRunning { .. }) if monitor::goes_on(root, id)? => {}
            Err(monitor::Error::NotRunning { .. }) => return Err(not_running()),
            Err(e) => return Err(e.into()),
        }
    }
}
