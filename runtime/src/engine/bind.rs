//! Bind mounts and volumes as detached trees of mounts: what both engines put in place.

use crate::sys::{mount, resolve};
use knarr_core::hint::Hint;
use knarr_core::spec::{IdMap, Submounts};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first number of a descriptor that no engine gives to something else in the guest's process, where the first ones are
/// streams and channels.
pub(crate) const FREE: RawFd = 6;

/// A file or directory of the host, and how it is to be seen.
#[derive(Debug, Clone, Default)]
pub struct Bind {
    pub path: PathBuf,
    /// What is bound is this part of it. A container may have made the links on the way: resolved inside `path`.
    pub subpath: Option<String>,
    /// `rprivate` (which it is if `None`), `private`, `rslave`, …
    pub propagation: Option<String>,
    pub submounts: Submounts,
    /// Under which ids the files are seen.
    pub ids: Option<IdMap>,
    /// Taken already, see [`Self::take`].
    pub(crate) taken: Option<Arc<OwnedFd>>,
}

/// A tree of mounts that is nowhere yet.
#[derive(Debug)]
pub struct Detached {
    pub tree: OwnedFd,
    /// Or a file.
    pub is_directory: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot bind {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{subpath} does not exist in {}", path.display())]
    NoSubpath { path: PathBuf, subpath: String },
    #[error("cannot set the attributes of {}", path.display())]
    Attributes { path: PathBuf, source: io::Error },
    #[error("the files of {} cannot be shown under other ids", path.display())]
    Ids { path: PathBuf, source: io::Error },
}

impl Hint for BindError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSubpath { .. } => Some("make it first, with a container that mounts the whole volume".into()),
            Self::Ids { source, .. } if source.raw_os_error() == Some(libc::EINVAL) => Some(
                "its file system does not support it, or mounts below it do not (bind-recursive=disabled leaves them \
                 out); to give the files to the container's user for good, use :U"
                    .into(),
            ),
            Self::Ids { .. } => Some("idmap needs Linux 5.12 and the superuser; :U changes the files themselves".into()),
            _ => None,
        }
    }
}

impl Bind {
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// The file or directory itself, for its path's sake (`O_PATH`).
    pub fn open(&self) -> Result<OwnedFd, BindError> {
        let failed = |e| self.failed(e);
        let Some(subpath) = &self.subpath else {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            return rustix::fs::open(&self.path, flags, Mode::empty()).map_err(failed);
        };
        let root = resolve::open_root(&self.path).map_err(failed)?;
        match resolve::open_in(&root, Path::new(subpath), OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Err(BindError::NoSubpath { path: self.path.clone(), subpath: subpath.clone() })
            }
            other => other.map_err(failed),
        }
    }

    /// Takes a copy of the mounts there now, which the guest's process keeps: what [`Self::detach`] restricts later. The copy of a shared mount gets and gives
    /// mounts only if it is taken where that mount is shared: in the host's mount namespace.
    pub fn take(&mut self) -> Result<(), BindError> {
        let copy = fcntl_dupfd_cloexec(self.copy()?, FREE).map_err(|e| self.failed(e))?;
        self.taken = Some(Arc::new(copy));
        Ok(())
    }

    fn copy(&self) -> Result<OwnedFd, BindError> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        if self.submounts != Submounts::Leave {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        open_tree(&self.open()?, "", flags).map_err(|e| self.failed(e))
    }

    fn failed(&self, error: Errno) -> BindError {
        BindError::Open { path: self.path.clone(), source: error.into() }
    }

    /// A detached copy of the mounts there, with `attributes` and what was asked for. Read-only reaches down to the mounts
    /// below (as in Docker since 25).
    pub fn detach(
        &self,
        read_only: bool,
        attributes: MountAttrFlags,
    ) -> Result<Detached, BindError> {
        let tree = match &self.taken {
            Some(taken) => fcntl_dupfd_cloexec(taken, 0).map_err(|e| self.failed(e))?,
            None => self.copy()?,
        };
        let kind = fstat(&tree).map_err(|e| self.failed(e))?.st_mode;
        self.restrict(&tree, read_only, attributes)
            .map_err(|e| BindError::Attributes { path: self.path.clone(), source: e.into() })?;
        if let Some(ids) = &self.ids {
            let recursive = self.submounts != Submounts::Leave;
            let mapped = mount::map_ids(tree.as_fd(), recursive, ids);
            mapped.map_err(|e| BindError::Ids { path: self.path.clone(), source: e.into() })?;
        }
        let is_directory = FileType::from_raw_mode(kind) == FileType::Directory;
        Ok(Detached { tree, is_directory })
    }

    fn restrict(
        &self,
        tree: &OwnedFd,
        read_only: bool,
        attributes: MountAttrFlags,
    ) -> rustix::io::Result<()> {
        let word = self.propagation.as_deref().unwrap_or("rprivate");
        let kind = match word.trim_start_matches('r') {
            "shared" => libc::MS_SHARED,
            "slave" => libc::MS_SLAVE,
            _ => libc::MS_PRIVATE,
        };
        mount::mount_setattr(tree.as_fd(), word.starts_with('r'), 0, 0, kind)?;
        let mut all = attributes;
        if read_only && self.submounts != Submounts::Writable {
            all |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        } else if read_only {
            let flag = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
            mount::mount_setattr(tree.as_fd(), false, flag, 0, 0)?;
        }
        match all.is_empty() {
            true => Ok(()),
            false => mount::mount_setattr(tree.as_fd(), true, all.bits().into(), 0, 0),
        }
    }
}

/// A detached copy of a tree of mounts, to be restricted before anybody sees it.
pub fn copy_tree(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags)
}
