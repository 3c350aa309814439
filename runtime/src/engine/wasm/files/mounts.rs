//! Binding volumes onto the root file system.
//!
//! Targets come from the user and lie in a tree that an image made: they are resolved inside the root and then used
//! by descriptor, so that nothing can be swapped between the check and the mount.

use super::{normal, open_in_root};
use crate::engine::wasm::cause::Cause;
use crate::engine::wasm::error::Error;
use crate::engine::{MountSource, ResolvedMount};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, open, openat, statat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
    open_tree,
};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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
        let tree = clone(rootfs).map_err(failed)?;
        attach(tree.as_fd(), open_directory(rootfs).map_err(failed)?.as_fd()).map_err(failed)?;
    }
    let root = open_directory(rootfs).map_err(failed)?;
    for mount in mounts {
        place(root.as_fd(), mount).map_err(|errno| Error::Mount {
            target: mount.target.clone(),
            source: Cause::from(errno),
        })?;
    }
    if read_only {
        set_attributes(root.as_fd(), MOUNT_ATTR_RDONLY, false)
            .map_err(|e| Error::system("make the root file system read-only", e))?;
    }
    Ok(root)
}

fn place(root: BorrowedFd<'_>, mount: &ResolvedMount) -> rustix::io::Result<()> {
    let (tree, directory) = match &mount.source {
        MountSource::Path { path, .. } => {
            let kind = FileType::from_raw_mode(statat(CWD, path, AtFlags::empty())?.st_mode);
            let tree = clone(path)?;
            let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
            let read_only = if mount.read_only { MOUNT_ATTR_RDONLY } else { 0 };
            set_attributes(tree.as_fd(), attributes | read_only, true)?;
            (tree, kind == FileType::Directory)
        }
        MountSource::Tmpfs { size, mode, .. } => (memory(*size, *mode, mount.read_only)?, true),
    };
    let target = mount_point(root, &mount.target, directory)?;
    attach(tree.as_fd(), target.as_fd())
}

fn clone(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags)
}

fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

fn memory(size: Option<u64>, mode: Option<u32>, read_only: bool) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(size) = size {
        fsconfig_set_string(context.as_fd(), "size", size.to_string())?;
    }
    fsconfig_set_string(context.as_fd(), "mode", format!("{:o}", mode.unwrap_or(0o1777)))?;
    fsconfig_create(context.as_fd())?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if read_only {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
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

// linux/mount.h
const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;

/// `mount_setattr(2)`, which rustix lacks.
fn set_attributes(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> rustix::io::Result<()> {
    #[repr(C)]
    struct MountAttributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open, the path is a C string, the structure has the layout and size of
    // `struct mount_attr` version 0 and lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(last_errno())) }
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
