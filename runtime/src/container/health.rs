//! A running container's health: waiting for it, and probing it at once.

use super::{Error, Result};
use crate::monitor::{self, client::Connection, client::Request, client::Response};
use crate::reconcile;
use crate::state::{self, HealthStatus, Probed};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use std::time::Instant;

/// How a wait for a container's health ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    Health(HealthStatus),
    /// The container ended before, with this code.
    Exited(u8),
    /// It has no health check.
    Unchecked,
    TooLate,
}

/// Waits until the health of a container that was started is one of these, by its monitor's word: at once if it is. A life
/// that its restart policy lets follow counts as well.
pub fn wait_health(
    store: &Store,
    id: &ContainerId,
    until: &[HealthStatus],
    deadline: Option<Instant>,
) -> Result<Awaited> {
    let root = store.root();
    let request = Request::AwaitHealth { until: until.to_vec() };
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Awaited::TooLate);
        }
        match Connection::open(root, id).and_then(|mut c| c.ask_within(&request, left)) {
            Ok(Response::Health(Some(status))) => return Ok(Awaited::Health(status)),
            Ok(Response::Health(None)) => return Ok(Awaited::Unchecked),
            Ok(Response::Exited(exit)) if !monitor::goes_on(root, id)? => {
                return Ok(Awaited::Exited(exit.code));
            }
            Ok(_) | Err(monitor::Error::NotRunning { .. } | monitor::Error::Silent { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        let Some(container) = reconcile::container(root, id)? else {
            return Err(state::Error::Gone { id: id.clone() }.into());
        };
        if container.spec.active_healthcheck().is_none() {
            return Ok(Awaited::Unchecked);
        }
        if monitor::goes_on(root, id)? || monitor::is_running(root, id) {
            continue;
        }
        if !container.state.is_alive() {
            let exit =
                container.state.exit.ok_or(Error::NotRunning { name: container.state.name })?;
            return Ok(Awaited::Exited(exit.code));
        }
        // its monitor is between the guest's end and the record of it
        monitor::wait_for_end(root, id)?;
    }
}

/// Probes a running container now, beside its interval; `None` if it has no health check.
pub fn probe(store: &Store, id: &ContainerId) -> Result<Option<Probed>> {
    let root = store.root();
    let Some(container) = reconcile::container(root, id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    if container.state.status == state::Status::Paused {
        return Err(Error::Paused { name: container.state.name });
    }
    match Connection::open(root, id).and_then(|mut c| c.ask(&Request::Probe)) {
        Ok(Response::Probed(probed)) => Ok(Some(probed)),
        Ok(Response::Health(_)) => Ok(None),
        Ok(_) | Err(monitor::Error::NotRunning { .. }) => Err(Error::not_running(&container.state)),
        Err(e) => Err(e.into()),
    }
}
