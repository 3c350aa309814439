//! The child's part of the set-up: from a copy of the monitor's mounts to the container's own root.

use super::error::{Doing, Error};
use super::mounts::{FileSystem, Mount, What};
use super::rootdir::RootDir;
use super::sys;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount,
    open_tree,
};
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
    pub devices: Vec<Device>,
    /// Nodes can't be made in a user namespace: the host's are bound instead.
    pub bind_devices: bool,
    /// `/dev/console`, the container's terminal.
    pub console: Option<OwnedFd>,
    pub masked: &'static [&'static str],
    pub read_only_paths: &'static [&'static str],
    /// `/proc/sys` settings of a network namespace of its own.
    pub settings: &'static [(&'static str, &'static str)],
    pub working_directory: String,
    pub read_only: bool,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Below `/dev`.
    pub name: String,
    pub kind: FileType,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
}

/// Docker's masked paths: they tell of the host, or change it.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Docker's read-only paths.
pub const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Docker's settings for a network of its own: any user may serve any port, and ping.
pub const NETWORK_SETTINGS: &[(&str, &str)] = &[
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// The nodes of every container's `/dev`.
pub fn default_devices() -> Vec<Device> {
    [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ]
    .into_iter()
    .map(|(name, major, minor)| Device {
        name: name.to_owned(),
        kind: FileType::CharacterDevice,
        major,
        minor,
        mode: 0o666,
    })
    .collect()
}

/// Links in `/dev`.
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

impl Plan {
    /// Builds the root and enters it. This process is in its own mount namespace.
    pub fn enter(&self) -> Result<(), Error> {
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
        for mount in &self.mounts {
            self.attach(&root, mount)?;
        }
        let root = pivot(root)?;
        for (path, value) in self.settings {
            // without IPv4 there is nothing to set
            if let Ok(file) = root.get(path, OFlags::WRONLY) {
                let _ = rustix::io::write(file, value.as_bytes());
            }
        }
        self.restrict(&root)?;
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
        Ok(())
    }

    fn attach(&self, root: &RootDir, mount: &Mount) -> Result<(), Error> {
        let target = mount.target.as_str();
        match &mount.what {
            What::Tree { tree, directory } => {
                let at = point(root, mount, *directory)?;
                put(tree.as_fd(), at.as_fd(), target)
            }
            What::New(file_system) => {
                let tree = file_system.make(mount.attributes)?;
                let at = point(root, mount, true)?;
                put(tree.as_fd(), at.as_fd(), target)?;
                if mount.system && target == "/dev" {
                    self.fill_dev(&tree)?;
                }
                Ok(())
            }
            What::Cgroups => self.attach_cgroups(root, mount),
        }
    }

    fn attach_cgroups(&self, root: &RootDir, mount: &Mount) -> Result<(), Error> {
        let at = point(root, mount, true)?;
        if let [(name, file_system)] = self.cgroup_views.as_slice()
            && name.is_empty()
        {
            return put(file_system.make(mount.attributes)?.as_fd(), at.as_fd(), &mount.target);
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
        put(tree.as_fd(), at.as_fd(), &mount.target)?;
        for (name, file_system) in &self.cgroup_views {
            let at = open_directory(tree.as_fd(), name)?;
            put(file_system.make(mount.attributes)?.as_fd(), at.as_fd(), name)?;
        }
        sys::mount_setattr(tree.as_fd(), false, mount.attributes.bits().into(), 0, 0)
            .doing("restrict", &mount.target)
    }

    /// Fills the tmpfs at `/dev`.
    fn fill_dev(&self, dev: &OwnedFd) -> Result<(), Error> {
        for device in &self.devices {
            let name = device.name.as_str();
            let failed = || format!("/dev/{name}");
            if let Some((parent, _)) = name.rsplit_once('/') {
                make_parents(dev, parent)?;
            }
            if self.bind_devices {
                let source = Path::new("/dev").join(name);
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let tree = open_tree(CWD, &source, flags).doing("bind", failed())?;
                put(tree.as_fd(), new_file(dev, name)?.as_fd(), name)?;
            } else {
                let mode = Mode::from_raw_mode(device.mode);
                let number = makedev(device.major, device.minor);
                rustix::fs::mknodat(dev, name, device.kind, mode, number)
                    .doing("make", failed())?;
            }
        }
        for (to, name) in LINKS {
            rustix::fs::symlinkat(*to, dev, *name).doing("link", format_args!("/dev/{name}"))?;
        }
        for name in ["pts", "shm", "mqueue"] {
            rustix::fs::mkdirat(dev, name, Mode::from_raw_mode(0o755))
                .doing("create", format_args!("/dev/{name}"))?;
        }
        if let Some(console) = &self.console {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH;
            let tree = open_tree(console, "", flags).doing("bind", "/dev/console")?;
            put(tree.as_fd(), new_file(dev, "console")?.as_fd(), "/dev/console")?;
        }
        Ok(())
    }

    /// Hides and protects parts of /proc and /sys.
    fn restrict(&self, root: &RootDir) -> Result<(), Error> {
        let mut empty = None;
        for path in self.masked {
            let Some((at, directory)) = present(root, path)? else { continue };
            let tree = if directory {
                // one empty directory serves all of them
                let made = match empty.take() {
                    Some(made) => made,
                    None => FileSystem::new("tmpfs", &[("size", "0"), ("nr_inodes", "1")])
                        .make(MountAttrFlags::MOUNT_ATTR_RDONLY)?,
                };
                let copy = copy(made.as_fd()).doing("mask", path)?;
                empty = Some(made);
                copy
            } else {
                let null = root.get("/dev/null", OFlags::PATH).doing("open", "/dev/null")?;
                copy(null.as_fd()).doing("mask", path)?
            };
            put(tree.as_fd(), at.as_fd(), path)?;
        }
        for path in self.read_only_paths {
            let Some((at, _)) = present(root, path)? else { continue };
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH
                | OpenTreeFlags::AT_RECURSIVE;
            let tree = open_tree(&at, "", flags).doing("protect", path)?;
            sys::mount_setattr(
                tree.as_fd(),
                true,
                MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into(),
                0,
                0,
            )
            .doing("protect", path)?;
            put(tree.as_fd(), at.as_fd(), path)?;
        }
        Ok(())
    }
}

/// Where a mount goes, made if it is missing.
fn point(root: &RootDir, mount: &Mount, directory: bool) -> Result<OwnedFd, Error> {
    let target = mount.target.as_str();
    let opened = if mount.system {
        root.directory_without_links(target)
    } else {
        root.mount_point(target, directory)
    };
    opened.doing("prepare the mount point", target)
}

/// Puts a detached tree in place, through descriptors: no path is looked up a second time.
fn put(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, target: &str) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", at, "", flags).doing("mount", target)
}

fn copy(of: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(of, "", flags)
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

/// Opens what is to be masked; `None` if this kernel does not have it.
fn present(root: &RootDir, path: &str) -> Result<Option<(OwnedFd, bool)>, Error> {
    let fd = match root.get(path, OFlags::PATH | OFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.doing("open", path)?,
    };
    let kind = rustix::fs::fstat(&fd).doing("look at", path)?;
    Ok(Some((fd, FileType::from_raw_mode(kind.st_mode) == FileType::Directory)))
}

fn open_directory(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).doing("open", name)
}

fn new_file(dev: &OwnedFd, name: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(dev, name, flags, Mode::from_raw_mode(0o644)).doing("create", name)
}

fn make_parents(dev: &OwnedFd, path: &str) -> Result<(), Error> {
    for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
        match rustix::fs::mkdirat(dev, &path[..at], Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).doing("create", path),
        }
    }
    Ok(())
}

/// The nodes of the host's `/dev`, for `--privileged`.
pub fn host_devices() -> Result<Vec<Device>, Error> {
    let mut devices = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = Path::new("/dev").join(&folder);
        for name in knarr_core::fsx::list(&path)? {
            // file systems of their own, which the container has its own of; and the host's console
            if folder.is_empty()
                && ["pts", "shm", "mqueue", "fd", "console", "ptmx"].contains(&name.as_str())
            {
                continue;
            }
            let full = path.join(&name);
            let Ok(stat) = rustix::fs::statat(CWD, &full, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let below = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = FileType::from_raw_mode(stat.st_mode);
            match kind {
                FileType::Directory => folders.push(below),
                FileType::CharacterDevice | FileType::BlockDevice => devices.push(Device {
                    name: below,
                    kind,
                    major: rustix::fs::major(stat.st_rdev),
                    minor: rustix::fs::minor(stat.st_rdev),
                    mode: stat.st_mode & 0o7777,
                }),
                _ => {}
            }
        }
    }
    Ok(devices)
}
