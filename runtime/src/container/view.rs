//! The files of a container, as its processes see them, for `cp` and `export`.
//!
//! Of a running container: the root of its first process, entered by a descriptor. Of one that does not run: its root
//! file system, mounted in a mount namespace that this process makes for itself; nobody can start it meanwhile. So it is
//! with one that runs without a root file system, as its guest opens no files.

use super::{Error, Result};
use crate::engine::{Bind, BindError, MountSource, ResolvedMount, native};
use crate::monitor;
use crate::reconcile::{self, Unowned};
use crate::state::{self, Container, Locked};
use crate::sys::resolve;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::store::Store;
use knarr_core::store::snapshot::{self, Mounted};
use knarr_core::sys::{self, Owners};
use rustix::fs::{Mode, OFlags, fstat, stat};
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An open tree of files, in which every path is resolved.
pub(super) struct View {
    pub container: Container,
    /// The container's `/`.
    pub root: OwnedFd,
    /// What is mounted in the container, where that could not be done here: paths below the first are to be looked for
    /// in what is bound there.
    routes: Vec<(PathBuf, Bind)>,
    mounted: Option<PathBuf>,
    _held: Held,
}

/// What keeps others from mounting the same files.
enum Held {
    /// They are mounted where the container runs.
    Nothing,
    Container(#[expect(dead_code, reason = "held until the view goes")] Box<Unowned>),
    State(#[expect(dead_code, reason = "held until the view goes")] Box<Locked>),
    Files(#[expect(dead_code, reason = "held until the view goes")] Lock),
}

impl View {
    /// With volumes and other mounts.
    pub fn of(store: &Store, id: &ContainerId) -> Result<Self> {
        Self::open(store, id, true)
    }

    /// The root file system alone.
    pub fn without_mounts(store: &Store, id: &ContainerId) -> Result<Self> {
        Self::open(store, id, false)
    }

    fn open(store: &Store, id: &ContainerId, with_mounts: bool) -> Result<Self> {
        let root = store.root();
        loop {
            if let Some(unowned) = reconcile::take(root, id)? {
                let container = unowned.container.clone();
                let held = Held::Container(Box::new(unowned));
                return Self::mounted(store, container, held, with_mounts);
            }
            let container = state::load(root, id)?;
            if container.state.is_alive() && container.state.unmounted {
                let work = root.container(id).work();
                fsx::create_dir_all(&work)?;
                let held = Held::Files(Lock::exclusive_directory(&work)?);
                return Self::mounted(store, container, held, with_mounts);
            }
            if container.state.is_alive() {
                return Self::running(store, container, with_mounts);
            }
            // about to run, or about to be at rest: both is told by the monitor's socket, or by its end
            match monitor::is_running(root, id) {
                true => {
                    // it waits for its next life, which begins with a look at its state
                    let state = Locked::take(root, id)?;
                    if state.state().waits() {
                        let held = Held::State(Box::new(state));
                        return Self::mounted(store, container, held, with_mounts);
                    }
                }
                false if monitor::goes_on(root, id)? => {}
                false => monitor::wait_for_end(root, id)?,
            }
        }
    }

    fn running(store: &Store, container: Container, with_mounts: bool) -> Result<Self> {
        let (Some(guest), Some(monitor)) = (container.state.pid, container.state.monitor) else {
            return Err(Error::NotRunning { name: container.state.name });
        };
        let open = |path: PathBuf| {
            resolve::open_root(&path).map_err(|e| Error::Copy {
                operation: "open",
                path: path.display().to_string(),
                source: e.into(),
            })
        };
        among_owners_of(monitor);
        let mut routes = Vec::new();
        let paths = store.root().container(container.id());
        let in_monitor = PathBuf::from(format!("/proc/{monitor}/root"))
            .join(paths.rootfs().strip_prefix("/").unwrap_or(&paths.rootfs()));
        let root = match with_mounts {
            true => {
                let root = open(PathBuf::from(format!("/proc/{guest}/root")))?;
                if is_our_root(&root) {
                    // a Wasm guest of a user who may not change a root: it sees its volumes by other means
                    for mount in monitor::resolve_mounts(store.root(), &container.spec)? {
                        routes.extend(route(&mount));
                    }
                    open(in_monitor)?
                } else {
                    root
                }
            }
            false => open(in_monitor)?,
        };
        Ok(Self { container, root, routes, mounted: None, _held: Held::Nothing })
    }

    fn mounted(store: &Store, container: Container, held: Held, with_mounts: bool) -> Result<Self> {
        let mounts = match with_mounts {
            true => monitor::resolve_mounts(store.root(), &container.spec)?,
            false => Vec::new(),
        };
        match sys::is_superuser() {
            true => sys::enter_mount_namespace()?,
            false => sys::enter_user_namespace()?,
        }
        let snapshot = monitor::snapshot_of(store, &container.spec);
        let is_overlay = snapshot::mount(&snapshot, false)? == Mounted::Overlay;
        let failed = |e: rustix::io::Errno| Error::Copy {
            operation: "open",
            path: snapshot.target.display().to_string(),
            source: e.into(),
        };
        let root = resolve::open_root(&snapshot.target).map_err(failed)?;
        let mut routes = Vec::new();
        for mount in mounts {
            if !is_overlay || bind(&root, &mount).is_err() {
                routes.extend(route(&mount));
            }
        }
        let mounted = is_overlay.then_some(snapshot.target);
        Ok(Self { container, root, routes, mounted, _held: held })
    }

    /// The tree in which a path of the container is to be looked for, and the path in it.
    pub fn locate(&self, path: &Path) -> Result<(OwnedFd, PathBuf)> {
        let failed = |e: std::io::Error| Error::Copy {
            operation: "open",
            path: path.display().to_string(),
            source: e,
        };
        for (target, source) in self.routes.iter().rev() {
            if let Ok(rest) = path.strip_prefix(target) {
                let root = source.open().map_err(native::Error::from)?;
                return Ok((root, Path::new("/").join(rest)));
            }
        }
        let root = self.root.try_clone().map_err(failed)?;
        Ok((root, path.to_owned()))
    }

    /// Whether the container itself may not write at a path (its record's word; the kernel has its own for a running one).
    pub fn is_read_only(&self, path: &Path) -> bool {
        let spec = &self.container.spec;
        let mount = spec.mounts.iter().rev().find(|mount| path.starts_with(&mount.target));
        mount.map_or(spec.read_only_rootfs, |mount| mount.read_only)
    }

    /// A path of this process to the root.
    pub fn path(&self) -> PathBuf {
        resolve::path_of(&self.root)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(target) = &self.mounted {
            // in our own mount namespace; what stays goes when we end
            let _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

fn route(mount: &ResolvedMount) -> Option<(PathBuf, Bind)> {
    match &mount.source {
        MountSource::Path(bind) => Some((mount.target.clone().into(), bind.clone())),
        MountSource::Tmpfs { .. } => None,
    }
}

/// Mounts a volume or a folder of the host as the engine would.
fn bind(root: &OwnedFd, mount: &ResolvedMount) -> Result<(), BindError> {
    let MountSource::Path(bind) = &mount.source else { return Ok(()) };
    let source = bind.detach(false, MountAttrFlags::empty())?;
    let target = Path::new(&mount.target);
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let place = || {
        if source.is_directory {
            resolve::create_dir_in(root, target)?;
        }
        let target = resolve::open_in(root, target, OFlags::PATH, Mode::empty())?;
        move_mount(&source.tree, c"", &target, c"", flags)
    };
    place().map_err(|e| BindError::Open { path: bind.path.clone(), source: e.into() })
}

/// An ordinary user sees what belongs to subordinate ids from the container's user namespace. Where it cannot be entered, that
/// is said of the file that cannot be read.
fn among_owners_of(monitor: u32) {
    if rustix::process::geteuid().is_root() || sys::owners() != Owners::Mapped {
        return;
    }
    if let Ok(namespace) = fsx::open(Path::new(&format!("/proc/{monitor}/ns/user"))) {
        let _ = sys::join_user_namespace(namespace);
    }
}

fn is_our_root(root: &OwnedFd) -> bool {
    let (Ok(theirs), Ok(ours)) = (fstat(root), stat("/")) else { return true };
    (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
}
