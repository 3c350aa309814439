//! Deleting what a killed process left half-made or half-removed.

use super::{Result, lookup, names};
use knarr_core::fsx;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::sys;

/// Deletes folders without a `spec.json` and names without an owner. Does nothing while a container is being
/// made: the next command sweeps.
pub fn sweep(root: &Root) -> Result<()> {
    if !root.containers().exists() {
        return Ok(());
    }
    match Lock::try_exclusive(&root.containers_lock())? {
        Some(lock) => sweep_under(root, &lock),
        None => Ok(()),
    }
}

/// Waits for those who are making containers, then sweeps.
pub fn sweep_waiting(root: &Root) -> Result<()> {
    let lock = Lock::exclusive(&root.containers_lock())?;
    sweep_under(root, &lock)
}

fn sweep_under(root: &Root, _alone: &Lock) -> Result<()> {
    for id in lookup::ids(root)? {
        let paths = root.container(&id);
        if paths.spec().exists() {
            continue;
        }
        // a remover that is still at work holds this lock; losing the folder under our feet is fine
        match Lock::try_exclusive_directory(paths.data()) {
            Ok(Some(_lock)) => {
                sys::remove_tree(paths.run())?;
                sys::remove_tree(paths.data())?;
            }
            Ok(None) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    for name in fsx::list(&root.container_names())? {
        if names::owner(root, &name)?.is_none() {
            fsx::remove_file(&root.container_names().join(&name))?;
        }
    }
    Ok(())
}
