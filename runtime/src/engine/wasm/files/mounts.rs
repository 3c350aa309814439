//! Binding volumes onto the root file system.
//!
//! Targets come from the user and lie in a tree that an image made: they are resolved inside the root and then used
//! by descriptor, so that nothing can be swapped between the check and the mount.

use super::{normal, open_in_root};
use crate::engine::bind::copy_tree;
use crate::engine::wasm::cause::Cause;
use crate::engine::wasm::error::Error;
use crate::engine::{MountSource, ResolvedMount};
use crate::sys::mount::mount_setattr;
use crate::sys::tmpfs;
use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, mount_change, move_mount,
};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Gives the process a mount namespace of its own, whose mounts nobody else sees; false if that is not allowed.
pub(super) fn own_namespace() -> Result<bool, Error> {
    // SAFETY: unsharing the mount namespace does not invalidate descriptors or memory.
    match unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) } {
        Ok(()) => {}
        Err(Errno::PERM | Errno::NOSYS | Errno::NOSPC) => return Ok(false),
        Err(e) => return Err(Error::system("make a mount namespace", e)),
    }
    let downstream = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    mount_change("/", downstream).map_err(|e| Error::system("make mounts private", e))?;
    Ok(true)
}

/// Mounts everything onto the root file system and returns its directory.
pub(super) fn bind(
    rootfs: &Path,
    mounts: &[ResolvedMount],
    read_only: bool,
) -> Result<OwnedFd, Error> {
    let failed = |e: Errno| Error::system("open the root file system", e);
    if read_only {
        // the root's own mount may be shared with the monitor, which must stay able to write
        let tree = copy_tree(rootfs, true).map_err(failed)?;
        attach(tree.as_fd(), open_directory(rootfs).map_err(failed)?.as_fd()).map_err(failed)?;
    }
    let root = open_directory(rootfs).map_err(failed)?;
    for mount in mounts {
        place(root.as_fd(), mount)
            .map_err(|source| Error::Mount { target: mount.target.clone(), source })?;
    }
    if read_only {
        let flag = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
        mount_setattr(root.as_fd(), false, flag, 0, 0)
            .map_err(|e| Error::system("make the root file system read-only", e))?;
    }
    Ok(root)
}

fn place(root: BorrowedFd<'_>, mount: &ResolvedMount) -> Result<(), Cause> {
    let inert = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let (tree, directory) = match &mount.source {
        MountSource::Path(bind) => {
            let detached = bind.detach(mount.read_only, inert).map_err(|e| Cause::of(&e))?;
            (detached.tree, detached.is_directory)
        }
        MountSource::Tmpfs { size, mode, options } => {
            let (options, mut attributes) = tmpfs::options(*size, *mode, options);
            if mount.read_only {
                attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
            }
            (tmpfs::make(&options, attributes | inert)?, true)
        }
    };
    let target = mount_point(root, &mount.target, directory)?;
    Ok(attach(tree.as_fd(), target.as_fd())?)
}

fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

pub(super) fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The place of a mount in the tree, made where it is missing.
pub(super) fn mount_point(
    root: BorrowedFd<'_>,
    target: &str,
    directory: bool,
) -> rustix::io::Result<OwnedFd> {
    let target = normal(target);
    let kind = if directory { OFlags::DIRECTORY } else { OFlags::empty() };
    match open_in_root(root, &target, OFlags::PATH | kind) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let mut parent = open_in_root(root, "/", OFlags::PATH | OFlags::DIRECTORY)?;
    let mut so_far = String::new();
    let names: Vec<&str> = target.split('/').filter(|name| !name.is_empty()).collect();
    for (i, name) in names.iter().enumerate() {
        so_far = format!("{so_far}/{name}");
        let last = i + 1 == names.len();
        let kind = if directory || !last { OFlags::DIRECTORY } else { OFlags::empty() };
        parent = match open_in_root(root, &so_far, OFlags::PATH | kind) {
            Err(Errno::NOENT) => {
                if directory || !last {
                    mkdirat(&parent, *name, Mode::from_raw_mode(0o755))?;
                } else {
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    openat(&parent, *name, flags, Mode::from_raw_mode(0o644))?;
                }
                open_in_root(root, &so_far, OFlags::PATH | kind)?
            }
            found => found?,
        };
    }
    Ok(parent)
}
