//! Filling a new volume with what the image has at its mount point, as Docker does.

use super::{Error, Paths, Result, find, heal};
use crate::sys::{resolve, tree};
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// Copies the image's `target` into the volume if the volume is empty; also owner and mode of the folder.
///
/// Of several containers that start at once one copies and the others wait. A copy that was cut short, by `kill -9` or by
/// an error, is made again. `rootfs` is hostile: `target` is resolved inside it.
pub fn copy_up(root: &Root, name: &str, rootfs: &Path, target: &str) -> Result<()> {
    let paths = Paths::of(root, name)?;
    let failed = |source: std::io::Error| Error::CopyUp {
        volume: name.to_owned(),
        target: target.to_owned(),
        source,
    };
    let image = resolve::open_root(rootfs).map_err(|e| failed(e.into()))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let from = match resolve::open_in(&image, Path::new(target), flags, Mode::empty()) {
        // the image has nothing there, or a file, which a volume cannot replace
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.map_err(|e| failed(e.into()))?,
    };
    let volume = find(root, name)?;
    let lock = paths.lock()?;
    let unfinished = paths.filling().exists();
    let _lock = heal(&paths, &volume, lock)?;
    let data = volume.data(root)?;
    // only a directory of the host keeps what an unfinished copy has put there
    let policy = tree::Policy { merge: unfinished, owner: None };
    if !unfinished && !fsx::list(&data)?.is_empty() {
        return Ok(());
    }
    fsx::write(&paths.filling(), "")?;
    let to = rustix::fs::open(&data, flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed(e.into()))?;
    if let Err(e) = tree::copy(&from, &to, policy) {
        // half a copy is none: with the mark still there the next start begins anew
        return Err(failed(e.into()));
    }
    Ok(fsx::remove_file(&paths.filling())?)
}
