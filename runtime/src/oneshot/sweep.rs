//! Removing what steps left whose helper was killed.

use super::{Error, apart};
use crate::engine::native;
use crate::net;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::{fsx, sys};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// In a step's run folder: its whole id, by which its cgroups are called.
fn name_file(folder: &Path) -> PathBuf {
    folder.join("id")
}

/// A step's run folder, locked for as long as the step runs.
#[derive(Debug)]
pub(super) struct Claimed {
    pub id: ContainerId,
    pub folder: PathBuf,
    _lock: Lock,
}

/// Makes a run folder before anything that would have to be cleared away.
pub(super) fn claim(root: &Root) -> Result<Claimed, Error> {
    loop {
        let id = ContainerId::random();
        let folder = root.container(&id).run().to_owned();
        fsx::create_dir_all(&folder)?;
        let lock = match Lock::exclusive_directory(&folder) {
            // a sweep came in between
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            lock => lock?,
        };
        match fsx::write(&name_file(&folder), id.as_str()) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            written => written?,
        }
        return Ok(Claimed { id, folder, _lock: lock });
    }
}

/// Clears away the cgroups and run folders of steps whose helper is dead. What is in use is left alone.
pub fn sweep(root: &Root) -> Result<(), Error> {
    clear(root, Lock::try_exclusive_directory)
}

/// [`sweep`] that waits for the helpers which are about to end: for those who know that no build runs.
pub fn sweep_all(root: &Root) -> Result<(), Error> {
    clear(root, |folder| Lock::exclusive_directory(folder).map(Some))
}

fn clear(root: &Root, take: fn(&Path) -> fsx::Result<Option<Lock>>) -> Result<(), Error> {
    let networks = root;
    let root = apart(root);
    let folders = root.containers_run();
    for name in fsx::list(&folders)? {
        let folder = folders.join(name);
        let lock = match take(&folder) {
            Ok(Some(lock)) => lock,
            Ok(None) => continue,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
        };
        let name = fsx::read_optional(&name_file(&folder))?.unwrap_or_default();
        // without a name nothing was made yet
        if let Ok(id) = String::from_utf8_lossy(&name).parse() {
            native::cleanup(&root, &id)?;
            net::detach(networks, &id)?;
            net::leave_all(networks, &id)?;
        }
        sys::remove_tree(&folder)?;
        drop(lock);
    }
    Ok(())
}
