//! `attach`: this process's streams become those of a running container.

use super::{Error, Result};
use crate::monitor::{self, Attach, End};
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

/// Streams until the guest ends or the terminal is left.
pub fn attach(store: &Store, id: &ContainerId, options: &Attach) -> Result<End> {
    let Some(container) = reconcile::container(store.root(), id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let name = container.state.name.clone();
    if container.state.status == state::Status::Paused {
        return Err(Error::Paused { name });
    }
    if !container.state.is_alive() {
        return Err(Error::not_running(&container.state));
    }
    let stdin = options.stdin && container.spec.process.open_stdin;
    let options = Attach { stdin, ..options.clone() };
    match monitor::attach(store.root(), id, &options) {
        Ok(End::Detached) => {
            state::tell(store.root(), &container.spec, "detach", &[]);
            Ok(End::Detached)
        }
        Err(monitor::Error::NotRunning { .. }) => Err(Error::NotRunning { name }),
        result => Ok(result?),
    }
}
