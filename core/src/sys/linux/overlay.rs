//! Mounting overlays.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount,
};
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What to mount.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// Top first; at least one.
    pub lower: &'a [PathBuf],
    pub upper: &'a Path,
    pub work: &'a Path,
    /// No sync to disk, ever: after a power cut `upper` is not to be used again (Linux 5.10).
    pub volatile: bool,
    /// Whiteouts and opaque directories are marked in `user.*`: what ordinary users need (Linux 5.11).
    pub user_xattr: bool,
}

/// fsconfig(2) takes no longer strings.
const STRING_LIMIT: usize = 255;

/// Mounts an overlay on `target`, in the mount namespace of the caller.
///
/// With `lowerdir+` (Linux 6.5) each layer is told by itself. Before that they share one page of options, where
/// `/proc/self/fd` keeps them short: there is room for some 250 layers.
pub fn mount_overlay(overlay: &Overlay, target: &Path) -> io::Result<()> {
    match mount_each(overlay, target) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(mount_together(overlay, target)?),
        other => Ok(other?),
    }
}

fn mount_each(overlay: &Overlay, target: &Path) -> Result<(), Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut pinned = Vec::new();
    let mut set = |key: &str, path: &Path| {
        let mut path = path.as_os_str().as_bytes().to_vec();
        if path.len() > STRING_LIMIT {
            let folder = pin(Path::new(std::ffi::OsStr::from_bytes(&path)))?;
            path = super::proc_path(&folder).into_bytes();
            pinned.push(folder);
        }
        fsconfig_set_string(&context, key, &path[..])
    };
    for layer in overlay.lower {
        set("lowerdir+", layer)?;
    }
    set("upperdir", overlay.upper)?;
    set("workdir", overlay.work)?;
    fsconfig_set_string(&context, "source", "knarr")?;
    for (key, value) in FIXED {
        fsconfig_set_string(&context, key, value)?;
    }
    if overlay.volatile {
        fsconfig_set_flag(&context, "volatile")?;
    }
    if overlay.user_xattr {
        fsconfig_set_flag(&context, "userxattr")?;
    }
    fsconfig_create(&context)?;
    let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    move_mount(&mounted, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Whatever the module's defaults: each layer is complete in itself (no redirects, no files without data), so
/// that what a container changed can be exported, and a layer may be used by many.
const FIXED: [(&str, &str); 2] = [("index", "off"), ("metacopy", "off")];

fn mount_together(overlay: &Overlay, target: &Path) -> Result<(), Errno> {
    // held until the mount is done
    let lower: Vec<OwnedFd> = overlay.lower.iter().map(|l| pin(l)).collect::<Result<_, _>>()?;
    let (upper, work) = (pin(overlay.upper)?, pin(overlay.work)?);
    let layers: Vec<String> = lower.iter().map(super::proc_path).collect();
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layers.join(":"),
        super::proc_path(&upper),
        super::proc_path(&work)
    );
    for (key, value) in FIXED {
        options.push_str(&format!(",{key}={value}"));
    }
    for (on, name) in [(overlay.volatile, "volatile"), (overlay.user_xattr, "userxattr")] {
        if on {
            options.push(',');
            options.push_str(name);
        }
    }
    let options = CString::new(options).map_err(|_| Errno::INVAL)?;
    mount("knarr", target, "overlay", MountFlags::empty(), &*options)
}

fn pin(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
