//! `rm`: deletes containers.

use super::{Error, Result, stop};
use crate::engine::native;
use crate::monitor::{self, client::Connection, client::Request};
use crate::reconcile::{self, Unowned};
use crate::state::{self, Container, Status};
use crate::sys::process;
use crate::sys::signal::Signal;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_core::sys;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, Default)]
pub struct Remove {
    /// Kill a running one; delete one whose record is damaged.
    pub force: bool,
    /// Its anonymous volumes as well.
    pub volumes: bool,
}

/// Deletes a container with all its files. One that vanishes meanwhile is deleted.
pub fn remove(store: &Store, id: &ContainerId, options: Remove) -> Result<()> {
    match hide(store.root(), id, options)? {
        Some(hidden) => hidden.delete(),
        None => Ok(()),
    }
}

/// Whether [`remove`] would delete it, as it is now.
pub fn removable(store: &Store, id: &ContainerId, options: Remove) -> Result<()> {
    let container = match reconcile::container(store.root(), id) {
        Ok(Some(container)) => container,
        Ok(None) => return Ok(()),
        Err(reconcile::Error::State(state::Error::Damaged { .. })) if options.force => {
            return Ok(());
        }
        Err(e) => return Err(e.into()),
    };
    let name = container.state.name;
    match container.state.status {
        _ if options.force => Ok(()),
        Status::Running | Status::Paused => Err(Error::Running { name }),
        Status::Restarting => Err(Error::Restarting { name }),
        Status::Created | Status::Exited | Status::Removing => Ok(()),
    }
}

/// Deletes several containers, each with its own result: they are killed at once rather than one after the other, and
/// their files, which nobody will look for any more, may go after this process has ended.
pub fn remove_all(store: &Store, ids: &[ContainerId], options: Remove) -> Vec<Result<()>> {
    ids.chunks(AT_ONCE).flat_map(|ids| remove_some(store.root(), ids, options)).collect()
}

/// Each holds a connection and a lock meanwhile, and descriptors are few.
const AT_ONCE: usize = 128;

fn remove_some(root: &Root, ids: &[ContainerId], options: Remove) -> Vec<Result<()>> {
    let asked: Vec<Connection> = match options.force {
        true => ids.iter().filter_map(|id| ask_to_die(root, id)).collect(),
        false => Vec::new(),
    };
    let mut hidden = Vec::new();
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        results.push(hide(root, id, options).map(|files| hidden.extend(files)));
    }
    drop(asked);
    let delete = || {
        for files in &hidden {
            // what stays is removed by the sweeper
            let _ = files.delete();
        }
    };
    let behind = !hidden.is_empty() && process::threads() == 1 && process::leave_behind(delete);
    if !behind {
        delete();
    }
    results
}

/// What goes wrong here does so again, and is reported, when the container's turn comes.
fn ask_to_die(root: &Root, id: &ContainerId) -> Option<Connection> {
    let connection = Connection::open(root, id).ok()?;
    connection.send(&KILL).ok()?;
    Some(connection)
}

const KILL: Request = Request::Stop { signal: Signal::KILL.number(), timeout: -1 };

/// The files of a container that is no more. Nobody else deletes them as long as this lives.
struct Hidden {
    files: PathBuf,
    _held: Unowned,
}

impl Hidden {
    fn delete(&self) -> Result<()> {
        Ok(sys::remove_tree(&self.files)?)
    }
}

/// Everything but the files. `None`: there are none any more.
fn hide(root: &Root, id: &ContainerId, options: Remove) -> Result<Option<Hidden>> {
    loop {
        match reconcile::take(root, id) {
            Ok(Some(mut unowned)) => {
                unowned.state.apply(state::ContainerState::removing)?;
                let name = unowned.state.state().name.clone();
                reconcile::hide(root, &unowned.container, &name, options.volumes)?;
                let files = root.container(id).data().to_owned();
                return Ok(Some(Hidden { files, _held: unowned }));
            }
            Ok(None) => end(root, id, options.force)?,
            Err(reconcile::Error::State(state::Error::Gone { .. })) => return Ok(None),
            Err(reconcile::Error::State(state::Error::Damaged { .. })) if options.force => {
                match reconcile::remove_damaged(root, id)? {
                    true => return Ok(None),
                    false => end(root, id, true)?,
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Ends several containers at once, whatever their records say; afterwards nobody owns them.
pub(crate) fn kill_all(root: &Root, ids: &[ContainerId]) -> Result<()> {
    let mut result = Ok(());
    for ids in ids.chunks(AT_ONCE) {
        let _asked: Vec<Connection> = ids.iter().filter_map(|id| ask_to_die(root, id)).collect();
        for id in ids {
            let ended = stop::end(root, id, &KILL).map(drop);
            let killed = || {
                Connection::kill_all(root, id)?;
                Ok(monitor::wait_for_end(root, id)?)
            };
            result = result.and(ended.or_else(|_| killed()));
        }
    }
    result
}

/// Deletes a container that nobody owns, whatever its records say.
pub(crate) fn wipe(root: &Root, id: &ContainerId) -> Result<()> {
    let options = Remove { force: true, volumes: false };
    let regular = hide(root, id, options).and_then(|hidden| match hidden {
        Some(hidden) => hidden.delete(),
        None => Ok(()),
    });
    if regular.is_ok() {
        return Ok(());
    }
    native::cleanup(root, id)?;
    let paths = root.container(id);
    sys::remove_tree(paths.run())?;
    Ok(sys::remove_tree(paths.data())?)
}

/// Waits until no monitor owns the container; ends its guest if that may be.
fn end(root: &Root, id: &ContainerId, force: bool) -> Result<()> {
    if force {
        return stop::end(root, id, &KILL).map(drop);
    }
    // a monitor that listens has a guest or is about to have one; the others are on their way out
    match Connection::open(root, id).and_then(|mut connection| connection.order(&Request::Ping)) {
        Ok(()) | Err(monitor::Error::Silent { .. }) => {
            let Container { state, .. } = state::load(root, id)?;
            Err(match state.status {
                Status::Restarting => Error::Restarting { name: state.name },
                _ => Error::Running { name: state.name },
            })
        }
        // its keeper answers next
        Err(monitor::Error::NotRunning { .. }) if monitor::goes_on(root, id)? => Ok(()),
        Err(monitor::Error::NotRunning { .. }) => Ok(monitor::wait_for_end(root, id)?),
        Err(e) => Err(e.into()),
    }
}
