//! `run` and `start --attach`: a container whose streams are this process's.

use super::{Error, Result};
use crate::monitor::{self, Attach, End, Spawn};
use crate::state;
use crate::sys::terminal;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use std::os::unix::process::CommandExt;

/// Runs a created container in the foreground to its end, or until the terminal is left.
///
/// Without a terminal this process itself is the monitor: the container ends with it. (A process that has several threads
/// by now is replaced by a fresh one.) With a terminal a monitor of its own runs the container, which can then be
/// left with the detach keys.
pub fn run(store: &Store, id: &ContainerId, options: &Attach) -> Result<End> {
    let spec = state::load_spec(store.root(), id)?;
    // a guest that does not get our signals outlives us
    // and one that is started again goes on without this command
    let restarts = spec.may_come_back();
    if spec.process.tty || !options.forward_signals || restarts {
        return start_attached(store, id, options);
    }
    if monitor::must_reexec() {
        let source = monitor::reexec(store.root(), id).exec();
        return Err(monitor::Error::Spawn { id: id.clone(), source }.into());
    }
    Ok(End::Exited(monitor::run_in_foreground(store, id)?))
}

/// Starts a container in the background, attached from its first byte on.
pub fn start_attached(store: &Store, id: &ContainerId, options: &Attach) -> Result<End> {
    let root = store.root();
    let spec = state::load_spec(root, id)?;
    let size = terminal::size(rustix::stdio::stdout());
    let stdin = options.stdin && spec.process.open_stdin;
    let options = Attach { stdin, ..options.clone() };
    let end = monitor::spawn_attached(root, id, Spawn { size, client: None }, &spec, &options)?;
    if matches!(end, End::Exited(_)) && spec.auto_remove {
        monitor::wait_for_end(root, id).map_err(Error::from)?;
    }
    if matches!(end, End::Detached) {
        state::tell(root, &spec, "detach", &[]);
    }
    Ok(end)
}
