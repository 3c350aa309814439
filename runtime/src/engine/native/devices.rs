//! `/dev` of a container.

use super::error::{Doing, Error};
use super::mounts::FileSystem;
use super::rootdir::RootDir;
use super::rootfs::put;
use crate::sys::resolve::path_of;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, major, makedev, minor};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What is in a container's `/dev`.
pub struct Devices {
    pub nodes: Vec<Device>,
    /// Nodes can't be made in a user namespace: the host's are bound instead.
    pub bind: bool,
    /// `/dev/console`, the container's terminal.
    pub console: Option<OwnedFd>,
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

/// The nodes of every container's `/dev`.
pub fn defaults() -> Vec<Device> {
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

impl Devices {
    /// Fills the tmpfs at `/dev`. Returns the null device in it.
    pub fn fill(&self, dev: &OwnedFd) -> Result<OwnedFd, Error> {
        for device in &self.nodes {
            let name = device.name.as_str();
            let failed = || format!("/dev/{name}");
            if let Some((parent, _)) = name.rsplit_once('/') {
                make_parents(dev, parent)?;
            }
            if self.bind {
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
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let null =
            rustix::fs::openat(dev, "null", flags, Mode::empty()).doing("open", "/dev/null")?;
        match is_null(&null) {
            true => Ok(null),
            false => Err(Errno::NODEV).doing("use", "/dev/null"),
        }
    }
}

/// The null device for a further process of a container: its own, unless somebody in it has put something else there. Then
/// another one, but never one of the host's that the container's superuser may change.
pub fn null_of(tree: &RootDir, superuser: bool) -> Result<OwnedFd, Error> {
    const NAME: &str = "the null device";
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let found = tree.get("/dev/null", OFlags::PATH | OFlags::NOFOLLOW);
    let opened = match found.ok().filter(is_null) {
        Some(own) => rustix::fs::open(path_of(&own), flags, Mode::empty()),
        None if superuser => {
            let options = [("size", "4k"), ("mode", "755")];
            let memory = FileSystem::new("tmpfs", &options).make(MountAttrFlags::empty())?;
            let (mode, number) = (Mode::from_raw_mode(0o666), makedev(1, 3));
            rustix::fs::mknodat(&memory, "null", FileType::CharacterDevice, mode, number)
                .and_then(|()| rustix::fs::openat(&memory, "null", flags, Mode::empty()))
        }
        None => rustix::fs::open("/dev/null", flags, Mode::empty()),
    };
    opened.doing("open", NAME)
}

fn is_null(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3)
    })
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
pub fn of_host() -> Result<Vec<Device>, Error> {
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
                    major: major(stat.st_rdev),
                    minor: minor(stat.st_rdev),
                    mode: stat.st_mode & 0o7777,
                }),
                _ => {}
            }
        }
    }
    Ok(devices)
}
