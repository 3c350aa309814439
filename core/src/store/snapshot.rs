//! A container's root file system: the layers of its image below, what it changes above.

use super::copy::copy_merged;
use super::{Error, Result, merged};
use crate::fsx;
use crate::sys::{self, Overlay};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the parts of a root file system are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The layers' trees, top first; none for an image without layers.
    pub lower: Vec<PathBuf>,
    /// What the container changes. Made if absent, with the attributes of the image's root directory.
    pub upper: PathBuf,
    /// overlayfs's work directory, on the file system of `upper`. Made if absent.
    pub work: PathBuf,
    /// Where the whole is to be seen. Made if absent.
    pub target: PathBuf,
}

impl Snapshot {
    /// Whether what was changed lies apart from the layers, as this host takes overlays.
    pub fn is_apart(&self) -> bool {
        !is_copied(self)
    }

    /// The tree that the whole is as long as nothing was changed, where it is a single layer.
    pub fn single_layer(&self) -> Option<&Path> {
        match self.lower.as_slice() {
            [layer] if !self.upper.exists() && !is_copied(self) => Some(layer),
            _ => None,
        }
    }
}

/// How a root file system was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// An overlay on `target`; it dies with the mount namespace.
    Overlay,
    /// The layers were copied into `target`, as this host refuses overlays. A later mount finds the copy.
    Copy,
}

/// Makes the root file system at `target`, in the caller's own mount namespace
/// ([`sys::enter_mount_namespace`], [`sys::enter_user_namespace`]).
///
/// `volatile` is for containers that are removed when they end: nothing of theirs is ever synced to disk.
/// Where the host refuses overlays (no user namespaces, or a file system that cannot be an upper one), the
/// layers are copied instead, as reflinks where the file system has them.
pub fn mount(snapshot: &Snapshot, volatile: bool) -> Result<Mounted> {
    if is_copied(snapshot) {
        return Ok(Mounted::Copy);
    }
    match overlay(snapshot, volatile) {
        Ok(()) => Ok(Mounted::Overlay),
        Err(Error::Mount { source, .. }) if is_refusal(&source) => copy(snapshot),
        Err(e) => Err(e),
    }
}

/// As [`mount`], for those who need what changes apart from the layers: no copy where the host refuses.
pub fn overlay(snapshot: &Snapshot, volatile: bool) -> Result<()> {
    for directory in [&snapshot.upper, &snapshot.work, &snapshot.target] {
        create(directory, snapshot)?;
    }
    let nothing = [snapshot.work.join("empty")];
    let lower = if snapshot.lower.is_empty() {
        fsx::create_dir_all(&nothing[0])?;
        &nothing[..]
    } else {
        &snapshot.lower
    };
    // inside `work`, as overlayfs wants it for itself and empties it
    let work = snapshot.work.join("overlay");
    fsx::create_dir_all(&work)?;
    let incompatible = work.join("work/incompat/volatile");
    if incompatible.exists() {
        // an earlier volatile mount of this boot ended without a power cut, or the container would be gone
        sys::remove_tree(&incompatible)?;
    }
    let overlay = Overlay {
        lower,
        upper: &snapshot.upper,
        work: &work,
        volatile,
        user_xattr: !sys::is_superuser(),
    };
    let mounted = match sys::mount_overlay(&overlay, &snapshot.target) {
        // Linux before 5.10 does not know the option
        Err(e) if volatile && is_refusal(&e) => {
            sys::mount_overlay(&Overlay { volatile: false, ..overlay }, &snapshot.target)
        }
        other => other,
    };
    mounted.map_err(|source| Error::Mount { target: snapshot.target.clone(), source })
}

/// Makes the root file system as a copy, whatever the host allows.
pub fn copy(snapshot: &Snapshot) -> Result<Mounted> {
    if is_copied(snapshot) {
        return Ok(Mounted::Copy);
    }
    // a copy that was broken off
    sys::remove_tree(&snapshot.target)?;
    create(&snapshot.work, snapshot)?;
    create(&snapshot.target, snapshot)?;
    copy_merged(&snapshot.lower, &snapshot.target, None)?;
    fsx::create_new(&mark(snapshot), b"")?;
    Ok(Mounted::Copy)
}

/// Where a file of the root file system really is, and whether that is in a layer, which never changes.
///
/// Symbolic links are followed inside the root. For the time when no guest runs: a guest that changes its
/// files meanwhile can make the answer wrong, and a later use of the path lead elsewhere.
pub fn locate(snapshot: &Snapshot, path: &Path) -> Option<(PathBuf, bool)> {
    let mut layers = Vec::with_capacity(snapshot.lower.len() + 1);
    if is_copied(snapshot) {
        layers.push(snapshot.target.clone());
    } else {
        layers.push(snapshot.upper.clone());
        layers.extend(snapshot.lower.iter().cloned());
    }
    let found = merged::find(&layers, path, true).ok()??;
    Some((found.path, found.layer > 0))
}

fn mark(snapshot: &Snapshot) -> PathBuf {
    snapshot.work.join("copied")
}

pub(super) fn is_copied(snapshot: &Snapshot) -> bool {
    mark(snapshot).exists()
}

/// The root of an overlay is its upper directory's: it is root's and everybody may enter it, as with Docker, whatever a
/// layer says of it.
fn create(directory: &Path, snapshot: &Snapshot) -> Result<()> {
    match fsx::create_dir(directory) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    let Some(top) = snapshot.lower.first() else { return Ok(()) };
    if *directory == snapshot.work {
        return Ok(());
    }
    let failed = |source| Error::Copy { path: top.clone(), source };
    let (top, _) = sys::look(top).map_err(failed)?;
    let attributes =
        sys::Attributes { mode: 0o755, uid: 0, gid: 0, mtime: top.borrow().mtime, xattrs: &[] };
    let superuser = sys::is_superuser();
    let tree = sys::Tree::open(directory, superuser).map_err(failed)?;
    tree.set_attributes(tree.root(), &attributes).map_err(failed)
}

/// What the kernel says where it will not mount overlays for this user, on this file system, or at all.
fn is_refusal(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
    ) || sys::is_unknown_file_system(error)
}
