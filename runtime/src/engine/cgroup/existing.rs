//! The cgroups that there are: of a container, and of all.

use super::host::V1;
use super::{Error, Host, LEAF, PARENT, write};
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use std::path::PathBuf;

/// The cgroups that a container has, by name of hierarchy; the unified one first.
pub(super) fn existing(host: &Host, id: &ContainerId) -> Vec<V1> {
    let unified = host.unified.iter().map(|path| ("", path.as_path()));
    let v1 = host.v1.iter().map(|v1| (v1.name.as_str(), v1.path.as_path()));
    unified
        .chain(v1)
        .map(|(name, path)| V1 { name: name.into(), path: path.join(PARENT).join(id.as_str()) })
        .filter(|v1| v1.path.is_dir())
        .collect()
}

/// Kills everything in a container's cgroups, waits for its end, and removes them. What is gone is removed.
pub fn remove(host: &Host, id: &ContainerId) -> Result<(), Error> {
    let cgroups = existing(host, id);
    let mut result = cgroups.iter().try_for_each(|v1| super::kill::kill_frozen(&v1.path));
    for v1 in cgroups {
        let cleared = super::kill::clear(&v1.path);
        if result.is_ok() {
            result = cleared;
        }
    }
    result
}

/// The containers that have a cgroup, whatever their roots.
pub fn containers(host: &Host) -> Vec<ContainerId> {
    let names = parents(host).filter_map(|parent| fsx::list(&parent).ok()).flatten();
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Removes the cgroups that are there for containers of any root, if none is left.
pub fn remove_empty(host: &Host) {
    for parent in parents(host) {
        // busy ones are others'
        let _ = rustix::fs::rmdir(&parent);
    }
    if let (false, Some(base)) = (host.superuser, &host.unified) {
        let _ = rustix::fs::rmdir(base.join(LEAF));
    }
}

fn parents(host: &Host) -> impl Iterator<Item = PathBuf> {
    let bases = host.unified.iter().chain(host.v1.iter().map(|v1| &v1.path));
    bases.map(|base| base.join(PARENT))
}

/// Kills everything in a container's cgroups, without removing them.
pub fn kill(host: &Host, id: &ContainerId) -> Result<(), Error> {
    let cgroups = existing(host, id);
    cgroups.iter().try_for_each(|v1| super::kill::kill_frozen(&v1.path))?;
    cgroups.iter().try_for_each(|v1| super::kill::kill(&v1.path))
}

/// Stops (or continues) every process of a container where it stands.
pub fn freeze(host: &Host, id: &ContainerId, frozen: bool) -> Result<(), Error> {
    let cgroups = existing(host, id);
    if let Some(unified) = cgroups.iter().find(|v1| v1.name.is_empty()) {
        write(&unified.path.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
        let line = if frozen { "frozen 1" } else { "frozen 0" };
        let verb = if frozen { "freeze" } else { "thaw" };
        return super::kill::wait_event(&unified.path, line, verb);
    }
    let freezer = cgroups.iter().find(|v1| v1.has("freezer")).ok_or(Error::CannotFreeze)?;
    let state = if frozen { "FROZEN" } else { "THAWED" };
    let file = freezer.path.join("freezer.state");
    super::kill::retry(&freezer.path, if frozen { "freeze" } else { "thaw" }, || {
        // a process that forks while it is being frozen can escape the first attempt
        write(&file, state)?;
        Ok(fsx::read_to_string(&file)?.trim() == state)
    })
}
