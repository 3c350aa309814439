//! `exec`: a further process in a running container, or a further guest in one of Wasm.

use super::{Error, Result};
use crate::engine::wasm;
use crate::monitor::{self, Attach, DetachKeys, End, Execution};
use crate::reconcile;
use crate::state::{self, Container, Status};
use knarr_core::id::ContainerId;
use knarr_core::spec::EngineKind;
use knarr_core::store::Store;

/// Executes with this process's own standard streams, to the end of the new process or until its terminal is left.
///
/// Without a terminal the new process gets this one's signals, and is its child if this one has a single thread.
pub fn exec(
    store: &Store,
    id: &ContainerId,
    execution: &Execution,
    detach_keys: &DetachKeys,
) -> Result<End> {
    let container = running(store, id)?;
    let attach = Attach {
        stdin: execution.interactive,
        detach_keys: detach_keys.clone(),
        forward_signals: !execution.tty,
    };
    if container.spec.engine == EngineKind::Wasm {
        refuse(execution)?;
        return Ok(monitor::exec::by_monitor(store.root(), &container, execution, &attach)?);
    }
    // a guest is the child of a process that has one thread, and no event loop
    if execution.tty || monitor::must_reexec() {
        return Ok(monitor::exec::apart(store.root(), &container, execution, &attach)?);
    }
    Ok(End::Exited(monitor::exec::here(store.root(), &container, execution)?))
}

/// Executes in the background; returns when the new process runs.
pub fn exec_detached(store: &Store, id: &ContainerId, execution: &Execution) -> Result<()> {
    let container = running(store, id)?;
    if container.spec.engine == EngineKind::Wasm {
        refuse(execution)?;
        return Ok(monitor::exec::unseen_by_monitor(store.root(), &container, execution)?);
    }
    Ok(monitor::exec::unseen(store.root(), &container, execution)?)
}

/// What means nothing to a guest.
fn refuse(execution: &Execution) -> Result<()> {
    match execution.privileged {
        true => Err(wasm::Error::no_capabilities("--privileged").into()),
        false => Ok(()),
    }
}

fn running(store: &Store, id: &ContainerId) -> Result<Container> {
    let Some(container) = reconcile::container(store.root(), id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let name = container.state.name.clone();
    match container.state.status {
        Status::Running => Ok(container),
        Status::Paused => Err(Error::Paused { name }),
        _ => Err(Error::not_running(&container.state)),
    }
}
