//! `stop`: asks the guest to end, and ends it when it takes too long.

use super::Result;
use crate::monitor::{self, client::Connection, client::Request};
use crate::sys::signal::Signal;
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::Process;
use knarr_core::store::Store;

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
    let timeout = options.timeout.unwrap_or(process.stop_timeout.unwrap_or(Process::GRACE).into());
    let signal = if timeout == 0 { Signal::KILL } else { signal };
    let request = Request::Stop { signal: signal.number(), timeout };
    end(root, id, &request)?;
    Ok(())
}

/// Ends a container for good, whichever of its processes has it by now: between two lives that is its keeper. Returns when
/// nobody owns it any more; `false` if there was nothing to end.
pub(super) fn end(root: &Root, id: &ContainerId, request: &Request) -> Result<bool> {
    let mut asked = false;
    loop {
        match Connection::open(root, id).and_then(|mut connection| connection.end(root, request)) {
            // whoever restarts it is to know as well
            Ok(false) => asked = true,
            Ok(true) => {
                asked = true;
                break;
            }
            // at the end of a life the answer comes from whoever has the container next
            Err(monitor::Error::NotRunning { .. }) if monitor::goes_on(root, id)? => asked = true,
            Err(monitor::Error::NotRunning { .. }) => break,
            Err(e) => return Err(e.into()),
        }
    }
    monitor::wait_for_end(root, id)?;
    Ok(asked)
}
