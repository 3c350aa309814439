//! `kill`: sends a signal to the guest.

use super::{Error, Result, restart};
use crate::monitor::{self, client::Connection, client::Request};
use crate::sys::signal::Signal;
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Sends a signal, by name or number, to a running container. SIGKILL: returns when the guest has ended.
pub fn kill(store: &Store, id: &ContainerId, signal: &str) -> Result<()> {
    let signal: Signal = signal.parse()?;
    let root = store.root();
    let Some(container) = reconcile::container(root, id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let not_running = || Error::NotRunning { name: container.state.name.clone() };
    if !container.state.is_alive() {
        return Err(not_running());
    }
    let ends = signal == Signal::KILL;
    let request = match ends {
        true => Request::Stop { signal: signal.number(), timeout: -1 },
        false => Request::Signal { signal: signal.number() },
    };
    let result = Connection::open(root, id).and_then(|mut connection| match ends {
        true => connection.end(&request).map(drop),
        false => connection.order(&request),
    });
    match result {
        Ok(()) if ends => restart::settle(root, id),
        Ok(()) => Ok(()),
        Err(monitor::Error::NotRunning { .. }) => Err(not_running()),
        Err(e) => Err(e.into()),
    }
}
