//! The guest's file system, as its process assembles it before it confines itself.
//!
//! Where the process may mount, the volumes are bound onto the root file system in a mount namespace of its own and
//! the guest gets one preopened directory, `/`; read-only is then the kernel's business. Elsewhere each mount is a
//! preopened directory beside `/`, and read-only is enforced by permission.

mod modules;
mod mounts;

use super::cause::Cause;
use super::error::Error;
use crate::engine::{MountSource, ResolvedMount};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use wasmtime_wasi::FsPerms;

/// The assembled tree.
pub(super) struct Tree {
    root: OwnedFd,
    rootfs: PathBuf,
    read_only: bool,
    /// Mounts that could not be bound: targets normalised, in the order of the launch.
    attached: Vec<Attached>,
}

struct Attached {
    target: String,
    source: PathBuf,
    read_only: bool,
}

/// A directory that the guest finds open when it starts.
#[derive(Debug, Clone)]
pub(super) struct Preopen {
    pub host: PathBuf,
    pub guest: String,
    pub permissions: FsPerms,
}

impl Tree {
    pub fn assemble(
        rootfs: &Path,
        mounts: &[ResolvedMount],
        read_only: bool,
    ) -> Result<Self, Error> {
        let plain = mounts.is_empty() && !read_only;
        if plain || !mounts::own_namespace()? {
            return Self::attach(rootfs, mounts, read_only);
        }
        let root = mounts::bind(rootfs, mounts, read_only)?;
        Ok(Self { root, rootfs: rootfs.to_owned(), read_only: false, attached: Vec::new() })
    }

    /// Of a guest that opens no files: the image's one layer, which nobody may change.
    pub fn of_layer(layer: &Path) -> Result<Self, Error> {
        Self::attach(layer, &[], true)
    }

    /// Without the right to mount.
    fn attach(rootfs: &Path, mounts: &[ResolvedMount], read_only: bool) -> Result<Self, Error> {
        let root = mounts::open_directory(rootfs)
            .map_err(|e| Error::system("open the root file system", e))?;
        let mut attached = Vec::new();
        for mount in mounts {
            let refused = |source: Cause| Error::Mount { target: mount.target.clone(), source };
            match &mount.source {
                MountSource::Path(bind) => {
                    if bind.subpath.is_some() || bind.ids.is_some() {
                        return Err(refused(Cause::new(
                            "this user may not mount here, which a part of a volume and idmap take",
                        )));
                    }
                    // one file cannot be a preopened directory
                    mounts::open_directory(&bind.path).map_err(|e| refused(e.into()))?;
                    attached.push(Attached {
                        target: normal(&mount.target),
                        source: bind.path.clone(),
                        read_only: mount.read_only,
                    });
                }
                MountSource::Tmpfs { size: Some(_), .. } => {
                    return Err(refused(Cause::new(
                        "this user may not mount here, and nothing else limits a size",
                    )));
                }
                MountSource::Tmpfs { .. } => {
                    // the root file system's own directory stands in: it goes with the container as memory would
                    mounts::mount_point(root.as_fd(), &mount.target, true)
                        .map_err(|e| refused(e.into()))?;
                }
            }
        }
        Ok(Self { root, rootfs: rootfs.to_owned(), read_only, attached })
    }

    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Whether everything is under the root, so that the process may make it its own.
    pub fn is_whole(&self) -> bool {
        self.attached.is_empty()
    }

    /// The directories on the host that the guest may reach: path and whether it may write.
    pub fn host_directories(&self) -> impl Iterator<Item = (&Path, bool)> {
        let attached = self.attached.iter().map(|a| (a.source.as_path(), !a.read_only));
        std::iter::once((self.rootfs.as_path(), !self.read_only)).chain(attached)
    }

    /// What to preopen; `changed_root` says that the root file system has become the process's own `/`.
    pub fn preopens(&self, changed_root: bool) -> Vec<Preopen> {
        let permissions =
            |read_only| if read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        let root = Preopen {
            host: if changed_root { "/".into() } else { self.rootfs.clone() },
            guest: "/".to_owned(),
            permissions: permissions(self.read_only),
        };
        let attached = self.attached.iter().map(|a| Preopen {
            host: a.source.clone(),
            guest: a.target.clone(),
            permissions: permissions(a.read_only),
        });
        std::iter::once(root).chain(attached).collect()
    }

    /// Opens a file of the guest's tree for reading, resolved inside it; `None` if there is none.
    pub fn open_file(&self, path: &str) -> Result<Option<File>, Error> {
        let path = normal(path);
        let mount = self.attached.iter().rev().find_map(|a| {
            let rest = path.strip_prefix(a.target.as_str())?;
            (rest.is_empty() || rest.starts_with('/') || a.target == "/").then_some((a, rest))
        });
        let failed = |e: Errno| Error::system(format!("open {path}"), e);
        let (directory, path) = match mount {
            Some((attached, rest)) => {
                (&mounts::open_directory(&attached.source).map_err(failed)?, rest)
            }
            None => (&self.root, path.as_str()),
        };
        match open_in_root(directory, path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// Opens a hostile path as a process with this root would: absolute symlinks and `..` stay inside.
pub(super) fn open_in_root(
    root: impl AsFd,
    path: &str,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { "." } else { path };
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a path that stays below the directory at each step.
pub(super) fn open_below(
    directory: impl AsFd,
    path: &str,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// An absolute path without `.`, `..` and doubled slashes: what `..` means after a symlink is not known here, so
/// this is only for the spelling of mount targets.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the tree of a test
mod tests {
    use super::*;

    #[test]
    fn a_hostile_path_stays_in_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/hostname"), "inside").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/hostname", root.join("upwards")).unwrap();
        let tree = Tree::assemble(&root, &[], false).unwrap();
        for path in ["/etc/hostname", "/absolute", "/upwards", "/../../etc/hostname"] {
            let file = tree.open_file(path).unwrap().unwrap();
            assert_eq!(std::io::read_to_string(file).unwrap(), "inside", "{path}");
        }
        assert!(tree.open_file("/etc/passwd").unwrap().is_none());
    }
}
