//! The child's part of the set-up: from a copy of the monitor's mounts to the container's own root.

use super::devices::Devices;
use super::error::{Doing, Error};
use super::isolation;
use super::mounts::{FileSystem, Mount, SHM, What};
use super::protect::{Guard, Top, may_be_mounted_over, set_up_network};
use super::rootdir::RootDir;
use super::sys;
use crate::sys::resolve;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, move_mount,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is done to the root, in order.
pub struct Plan {
    /// The directory that becomes `/`.
    pub rootfs: PathBuf,
    /// Whether it is a mount already; pivot_root(2) takes nothing else.
    pub is_mount: bool,
    pub mounts: Vec<Mount>,
    pub cgroup_views: Vec<(String, FileSystem)>,
    pub devices: Devices,
    /// Whether parts of `/proc` and `/sys` are hidden or read-only.
    pub protect: bool,
    /// Whether it has a network namespace of its own.
    pub own_network: bool,
    /// Settings of the kernel for its namespaces.
    pub sysctls: BTreeMap<String, String>,
    pub working_directory: String,
    pub read_only: bool,
}

impl Plan {
    /// Builds the root and enters it; returns its null device. This process is in its own mount namespace.
    ///
    /// `shared_memory`: of the container whose IPC namespace it has joined.
    pub fn enter(&self, mut shared_memory: Option<OwnedFd>) -> Result<OwnedFd, Error> {
        rustix::process::umask(Mode::empty());
        // nothing that happens here may reach the host
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .doing("make private", "the mounts")?;
        if !self.is_mount {
            rustix::mount::mount_bind(self.rootfs.as_path(), self.rootfs.as_path())
                .doing("bind", self.rootfs.display())?;
        }
        let root = RootDir::open(&self.rootfs).doing("open", self.rootfs.display())?;
        let top = path_of(&root)?;
        let (system, others): (Vec<_>, Vec<_>) = self.mounts.iter().partition(|m| m.system);
        let mut null = None;
        for mount in system {
            let at = point(&root, mount)?;
            if matches!(mount.what, What::SharedMemory) {
                let tree = shared_memory.take().ok_or(Errno::NOENT).doing("join", SHM)?;
                put(tree.as_fd(), at.as_fd(), SHM)?;
                continue;
            }
            let tree = self.attach(at.as_fd(), mount)?;
            if mount.target == "/dev" {
                null = tree.map(|tree| self.devices.fill(&tree)).transpose()?;
            }
        }
        let null = null.ok_or(Errno::NOENT).doing("make", "/dev/null")?;
        let mut guard = Guard::new(null);
        // nothing of the user's or the image's is mounted yet
        for top in Top::ALL {
            self.restrict(&root, top, &mut guard)?;
        }
        for mount in others {
            let at = point(&root, mount)?;
            let path = path_of(&at)?;
            let inside = path.strip_prefix(top.as_str()).unwrap_or(&path);
            let is_proc = matches!(&mount.what, What::Tree { tree, .. } if Top::Proc.has(tree));
            if !may_be_mounted_over(inside, is_proc) {
                return Err(Error::MountInProc { target: mount.target.clone() });
            }
            self.attach(at.as_fd(), mount)?;
            if let Some(top) = Top::ALL.into_iter().find(|top| top.path() == inside) {
                self.restrict(&root, top, &mut guard)?;
            }
        }
        self.devices.place_outside(&root)?;
        let root = pivot(root)?;
        root.create_directories(&self.working_directory).map_err(|error| {
            Error::WorkingDirectory { path: self.working_directory.clone(), source: error.into() }
        })?;
        if self.read_only {
            sys::mount_setattr(
                root.as_fd(),
                false,
                MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into(),
                0,
                0,
            )
            .doing("make read-only", "the root file system")?;
        }
        Ok(guard.into_null())
    }

    /// Protects what is mounted at a path of ours now.
    fn restrict(&self, root: &RootDir, top: Top, guard: &mut Guard) -> Result<(), Error> {
        let directory = match root.directory_without_links(top.path()) {
            // the user mounts something else there, to come
            Err(Errno::LOOP | Errno::NOTDIR) => return Ok(()),
            opened => opened.doing("open", top.path())?,
        };
        if top == Top::Proc && self.own_network {
            set_up_network(directory.as_fd());
        }
        if top == Top::Proc {
            isolation::set_sysctls(directory.as_fd(), &self.sysctls)?;
        }
        if self.protect { guard.protect(top, directory.as_fd()) } else { Ok(()) }
    }

    /// Mounts something; returns the file system if that is new.
    fn attach(&self, at: BorrowedFd<'_>, mount: &Mount) -> Result<Option<OwnedFd>, Error> {
        let target = mount.target.as_str();
        match &mount.what {
            What::Tree { tree, .. } => put(tree.as_fd(), at, target).map(|()| None),
            What::New(file_system) => {
                let tree = file_system.make(mount.attributes)?;
                put(tree.as_fd(), at, target)?;
                Ok(Some(tree))
            }
            What::Cgroups => self.attach_cgroups(at, mount).map(|()| None),
            // put in place where it is known
            What::SharedMemory => Ok(None),
        }
    }

    fn attach_cgroups(&self, at: BorrowedFd<'_>, mount: &Mount) -> Result<(), Error> {
        if let [(name, file_system)] = self.cgroup_views.as_slice()
            && name.is_empty()
        {
            return put(file_system.make(mount.attributes)?.as_fd(), at, &mount.target);
        }
        let options = [("mode", "755"), ("size", "64k")];
        let tree = FileSystem::new("tmpfs", &options)
            .make(mount.attributes - MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        for (name, _) in &self.cgroup_views {
            rustix::fs::mkdirat(&tree, name.as_str(), Mode::from_raw_mode(0o755))
                .doing("create", name)?;
            for controller in name.split(',').filter(|controller| controller != name) {
                rustix::fs::symlinkat(name.as_str(), &tree, controller)
                    .doing("link", controller)?;
            }
        }
        put(tree.as_fd(), at, &mount.target)?;
        for (name, file_system) in &self.cgroup_views {
            let at = open_directory(tree.as_fd(), name)?;
            put(file_system.make(mount.attributes)?.as_fd(), at.as_fd(), name)?;
        }
        sys::mount_setattr(tree.as_fd(), false, mount.attributes.bits().into(), 0, 0)
            .doing("restrict", &mount.target)
    }
}

/// Where a mount goes, made if it is missing.
fn point(root: &RootDir, mount: &Mount) -> Result<OwnedFd, Error> {
    let target = mount.target.as_str();
    let directory = !matches!(mount.what, What::Tree { directory: false, .. });
    let opened = if mount.system {
        root.directory_without_links(target)
    } else {
        root.mount_point(target, directory)
    };
    opened.doing("prepare the mount point", target)
}

/// Puts a detached tree in place, through descriptors: no path is looked up a second time.
pub fn put(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, target: &str) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", at, "", flags).doing("mount", target)
}

/// Where an open file is, as the host sees it.
fn path_of(fd: impl AsFd) -> Result<String, Error> {
    let link = resolve::path_of(fd);
    let path = rustix::fs::readlinkat(CWD, &link, Vec::new()).doing("look at", link.display())?;
    Ok(path.to_string_lossy().into_owned())
}

/// Makes the tree under `root` this process's root, and lets go of the old one.
fn pivot(root: RootDir) -> Result<RootDir, Error> {
    rustix::process::fchdir(&root).doing("enter", "the root file system")?;
    // the old root ends up on top of the new one, and is taken off it (pivot_root(2))
    rustix::process::pivot_root(".", ".").doing("change to", "the root file system")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing("leave", "the host's root")?;
    rustix::process::chdir("/").doing("enter", "the root file system")?;
    RootDir::open(Path::new("/")).doing("open", "the root file system")
}

fn open_directory(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).doing("open", name)
}
