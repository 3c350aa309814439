//! Filling a new volume with what the image has at its mount point, as Docker does.

use super::{Error, Paths, Result};
use crate::sys::{resolve, tree};
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// Copies the image's `target` into the volume if the volume is empty; also owner and mode of the folder.
/// A copy that was cut short is made again. `rootfs` is hostile: `target` is resolved inside it.
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
    let _lock = paths.lock()?;
    let unfinished = paths.filling().exists();
    if unfinished {
        knarr_core::sys::remove_tree(&paths.data())?;
        fsx::create_dir_all(&paths.data())?;
    } else if !fsx::list(&paths.data())?.is_empty() {
        return Ok(());
    }
    fsx::write(&paths.filling(), "")?;
    let to = rustix::fs::open(paths.data(), flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed(e.into()))?;
    tree::copy(&from, &to, tree::Policy::default()).map_err(|e| failed(e.into()))?;
    Ok(fsx::remove_file(&paths.filling())?)
}
