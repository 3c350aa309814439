//! `/dev` of a container.

use super::error::{Doing, Error};
use super::isolation::Refusal;
use super::mounts::{FileSystem, clean};
use super::rootdir::RootDir;
use super::rootfs::put;
use crate::sys::resolve::path_of;
use knarr_core::spec::isolation::{DeviceAccess, DeviceKind, DeviceMapping, DeviceRule};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, major, makedev, minor};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is in a container's `/dev`.
pub struct Devices {
    pub nodes: Vec<Device>,
    /// `--device`; instead of those of the same name.
    pub asked: Vec<Asked>,
    /// Nodes can't be made in a user namespace: the host's are bound instead.
    pub bind: bool,
    /// `/dev/console`, the container's terminal.
    pub console: Option<OwnedFd>,
    /// Whether there is a `/dev/shm`.
    pub shared_memory: bool,
}

/// A device of the host that the user gives to a container.
#[derive(Debug, Clone)]
pub struct Asked {
    host: PathBuf,
    /// Absolute, in the container.
    target: String,
    node: Device,
    access: DeviceAccess,
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
    /// Whose it is, as numbers of the host.
    pub owner: (u32, u32),
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
        owner: (0, 0),
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
        let asked = |asked: &Asked| {
            let name = below_dev(&asked.target)?.to_owned();
            Some((Device { name, ..asked.node.clone() }, asked.host.clone()))
        };
        let asked: Vec<_> = self.asked.iter().filter_map(asked).collect();
        let is_asked = |node: &&Device| !asked.iter().any(|(other, _)| other.name == node.name);
        let of_host = |node: &Device| (node.clone(), Path::new("/dev").join(&node.name));
        let nodes = self.nodes.iter().filter(is_asked).map(of_host);
        for (device, source) in nodes.chain(asked.iter().cloned()) {
            if let Some((parent, _)) = device.name.rsplit_once('/') {
                make_parents(dev, parent)?;
            }
            if self.bind {
                let at = new_file(dev, &device.name)?;
                bind(&source, &at)?;
            } else {
                make(dev, &device.name, &device).doing("make", source.display())?;
            }
        }
        for (to, name) in LINKS {
            // as runc: some kernels have none
            if *name == "core" && rustix::fs::stat(*to).is_err() {
                continue;
            }
            rustix::fs::symlinkat(*to, dev, *name).doing("link", format_args!("/dev/{name}"))?;
        }
        let shared_memory = self.shared_memory.then_some("shm");
        for name in ["pts", "mqueue"].into_iter().chain(shared_memory) {
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

impl Devices {
    /// Devices that the user wants elsewhere than in `/dev`.
    pub fn place_outside(&self, root: &RootDir) -> Result<(), Error> {
        for asked in self.asked.iter().filter(|asked| below_dev(&asked.target).is_none()) {
            let target = asked.target.as_str();
            if self.bind {
                let at = root.mount_point(target, false).doing("make", target)?;
                bind(&asked.host, &at)?;
                continue;
            }
            let (parent, name) = target.rsplit_once('/').unwrap_or(("", target));
            let parent = root.create_directories(&format!("/{parent}")).doing("create", parent)?;
            match make(&parent, name, &asked.node) {
                // left by an earlier start
                Err(Errno::EXIST) if is_same(&parent, name, &asked.node) => {}
                made => made.doing("make", target)?,
            }
        }
        Ok(())
    }
}

impl Asked {
    /// What the container may do with it.
    pub fn rule(&self) -> DeviceRule {
        let kind = match self.node.kind {
            FileType::BlockDevice => DeviceKind::Block,
            _ => DeviceKind::Character,
        };
        let (major, minor) = (Some(self.node.major), Some(self.node.minor));
        DeviceRule { kind, major, minor, access: self.access }
    }
}

/// Looks up what the user named. A directory stands for all devices in it.
pub fn of_user(mappings: &[DeviceMapping]) -> Result<Vec<Asked>, Error> {
    let mut all = Vec::new();
    for mapping in mappings {
        let before = all.len();
        let mut left = vec![(PathBuf::from(&mapping.host), clean(&mapping.container))];
        while let Some((host, target)) = left.pop() {
            let is_named = host == Path::new(&mapping.host);
            // a link is followed where the user names it, not where it lies in a directory
            let flags = if is_named { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
            let stat = match rustix::fs::statat(CWD, &host, flags) {
                Err(Errno::NOENT) if !is_named => continue,
                Err(error) => {
                    let (path, source) = (mapping.host.clone(), error.into());
                    return Err(Refusal::NoDevice { path, source }.into());
                }
                Ok(stat) => stat,
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            match kind {
                FileType::Directory => {
                    for name in knarr_core::fsx::list(&host)? {
                        left.push((host.join(&name), format!("{target}/{name}")));
                    }
                }
                FileType::CharacterDevice | FileType::BlockDevice => {
                    let node = Device {
                        name: String::new(),
                        kind,
                        major: major(stat.st_rdev),
                        minor: minor(stat.st_rdev),
                        mode: stat.st_mode & 0o7777,
                        owner: (stat.st_uid, stat.st_gid),
                    };
                    all.push(Asked { host, target, node, access: mapping.access });
                }
                _ => {}
            }
        }
        if all.len() == before {
            return Err(Refusal::NotADevice { path: mapping.host.clone() }.into());
        }
    }
    Ok(all)
}

fn below_dev(target: &str) -> Option<&str> {
    target.strip_prefix("/dev/")
}

fn make(directory: &OwnedFd, name: &str, device: &Device) -> rustix::io::Result<()> {
    let number = makedev(device.major, device.minor);
    let mode = Mode::from_raw_mode(device.mode);
    rustix::fs::mknodat(directory, name, device.kind, mode, number)?;
    match device.owner {
        (0, 0) => Ok(()),
        (uid, gid) => {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

fn is_same(directory: &OwnedFd, name: &str, device: &Device) -> bool {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == device.kind
            && stat.st_rdev == makedev(device.major, device.minor)
    })
}

/// Puts a node of the host in place.
fn bind(source: &Path, at: &OwnedFd) -> Result<(), Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, flags).doing("bind", source.display())?;
    put(tree.as_fd(), at.as_fd(), &source.display().to_string())
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
                    owner: (0, 0),
                }),
                _ => {}
            }
        }
    }
    Ok(devices)
}
