//! Opening hostile paths: what a container contains never leads out of it.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Opens a directory of the host, that Knarr named itself, to resolve paths in it.
pub fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens `path` as a process would whose root is `root`: absolute links and `..` stay inside
/// (`RESOLVE_IN_ROOT`), and no magic link of a mounted `/proc` is followed.
pub fn open_in(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, mode, resolve) {
            // the tree was changed while the kernel walked it
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Makes a directory, and those that it lies in, where they are missing; links among them stay inside `root`.
pub fn create_dir_in(root: impl AsFd, path: &Path) -> rustix::io::Result<()> {
    let mut made = PathBuf::from("/");
    for name in path.components() {
        let std::path::Component::Normal(name) = name else { continue };
        let parent = open_in(&root, &made, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        made.push(name);
    }
    Ok(())
}

/// A path of the host that leads to an open file, for calls that take nothing else.
pub fn path_of(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}
