//! `stop`: asks the guest to end, and ends it when it takes too long.

use super::{Error, Result, restart};
use crate::monitor::{self, client::Connection, client::Request};
use crate::sys::signal::Signal;
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Docker's grace period, in seconds.
const GRACE: u32 = 10;

/// How to stop; `None` is what the container's record says.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// A name or a number.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative: never.
    pub timeout: Option<i64>,
}

/// Returns when the guest has ended. A container that does not run is stopped.
pub fn stop(store: &Store, id: &ContainerId, options: &Stop) -> Result<()> {
    let root = store.root();
    let Some(container) = reconcile::container(root, id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let process = &container.spec.process;
    let signal = options.signal.as_ref().or(process.stop_signal.as_ref());
    let signal = signal.map_or(Ok(Signal::TERM), |text| text.parse())?;
    let timeout = options.timeout.unwrap_or(process.stop_timeout.unwrap_or(GRACE).into());
    let signal = if timeout == 0 { Signal::KILL } else { signal };
    let request = Request::Stop { signal: signal.number(), timeout };
    loop {
        match Connection::open(root, id).and_then(|mut connection| connection.end(&request)) {
            // whoever restarts it is to know as well
            Ok(false) => {}
            Ok(true) | Err(monitor::Error::NotRunning { .. }) => break,
            Err(e) => return Err(Error::from(e)),
        }
    }
    restart::settle(root, id)
}
