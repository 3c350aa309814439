//! What of `/proc` and `/sys` a container may not see or change.
//!
//! Whatever is mounted over a path to protect it is of Knarr's own making, and what it is mounted over is found in the
//! kernel's file system itself, without links: nothing of an image, and no mount of a user's, has a say in either.

use super::error::{Doing, Error};
use super::mounts::FileSystem;
use super::rootfs::put;
use super::sys;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Docker's masked paths: they tell of the host, or change it.
const MASKED: &[(Top, &[&str])] = &[
    (
        Top::Proc,
        &[
            "asound",
            "acpi",
            "interrupts",
            "kcore",
            "keys",
            "latency_stats",
            "timer_list",
            "timer_stats",
            "sched_debug",
            "scsi",
        ],
    ),
    (Top::Sys, &["firmware", "devices/virtual/powercap"]),
];

/// Docker's read-only paths, in `/proc`.
const READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Paths that show nothing in a container without privileges.
pub fn masked_paths() -> Vec<String> {
    let of = |(top, paths): &(Top, &[&str])| -> Vec<String> {
        paths.iter().map(|path| format!("{}/{path}", top.path())).collect()
    };
    MASKED.iter().flat_map(of).collect()
}

/// Paths that nobody writes to in a container without privileges.
pub fn read_only_paths() -> Vec<String> {
    READ_ONLY.iter().map(|path| format!("{}/{path}", Top::Proc.path())).collect()
}

/// Docker's settings for a network of its own: any user may serve any port, and ping.
const NETWORK_SETTINGS: &[(&str, &str)] = &[
    ("sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// What may be mounted in `/proc` all the same (runc's list): files of numbers, as lxcfs has them for containers.
const REPLACEABLE: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// A file system of the kernel's, by where it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    Proc,
    Sys,
}

impl Top {
    pub const ALL: [Self; 2] = [Self::Proc, Self::Sys];

    pub fn path(self) -> &'static str {
        match self {
            Self::Proc => "/proc",
            Self::Sys => "/sys",
        }
    }

    /// linux/magic.h
    fn magic(self) -> u64 {
        match self {
            Self::Proc => 0x9fa0,
            Self::Sys => 0x6265_6572,
        }
    }

    /// Whether a file is of this file system.
    pub fn has(self, file: impl AsFd) -> bool {
        fstatfs(file).is_ok_and(|found| found.f_type as u64 == self.magic())
    }
}

/// Whether something may be mounted at a path, all of whose links have been followed. `is_proc`: it is a `/proc` itself.
pub fn may_be_mounted_over(path: &str, is_proc: bool) -> bool {
    match path.strip_prefix(Top::Proc.path()) {
        Some("") => is_proc,
        Some(rest) if rest.starts_with('/') => REPLACEABLE.contains(&path),
        _ => true,
    }
}

/// What is mounted over paths.
pub struct Guard {
    /// A null device that is mounted in the container.
    null: OwnedFd,
    /// An empty directory that nobody can write, as soon as it is mounted somewhere: one serves all.
    empty: Option<OwnedFd>,
}

impl Guard {
    pub fn new(null: OwnedFd) -> Self {
        Self { null, empty: None }
    }

    pub fn into_null(self) -> OwnedFd {
        self.null
    }

    /// Protects what is in the directory that is mounted at `top`. Nothing happens if it is of another kind.
    pub fn protect(&mut self, top: Top, directory: BorrowedFd<'_>) -> Result<(), Error> {
        if !top.has(directory) {
            return Ok(());
        }
        // before anything is masked: a mask that is cloned again could be writable
        if top == Top::Proc {
            READ_ONLY.iter().try_for_each(|path| make_read_only(directory, path))?;
        }
        for (_, paths) in MASKED.iter().filter(|(of, _)| *of == top) {
            paths.iter().try_for_each(|path| self.mask(directory, path).map(drop))?;
        }
        if top == Top::Sys {
            self.mask_thermal(directory)?;
        }
        Ok(())
    }

    fn mask(&mut self, directory: BorrowedFd<'_>, path: &str) -> Result<bool, Error> {
        let Some(at) = present(directory, path)? else { return Ok(false) };
        let kind = fstat(&at).doing("look at", path)?.st_mode;
        let is_directory = FileType::from_raw_mode(kind) == FileType::Directory;
        let tree = match &self.empty {
            _ if !is_directory => copy(self.null.as_fd()).doing("mask", path)?,
            Some(empty) => copy(empty.as_fd()).doing("mask", path)?,
            None => FileSystem::new("tmpfs", &[("size", "0"), ("nr_inodes", "1")])
                .make(MountAttrFlags::MOUNT_ATTR_RDONLY)?,
        };
        put(tree.as_fd(), at.as_fd(), path)?;
        if is_directory && self.empty.is_none() {
            self.empty = Some(tree);
        }
        Ok(true)
    }

    /// How often each processor was slowed down tells what others do on it.
    fn mask_thermal(&mut self, sys: BorrowedFd<'_>) -> Result<(), Error> {
        let of = |cpu| format!("devices/system/cpu/cpu{cpu}/thermal_throttle");
        // where the first one has no such folder the others have none
        if !self.mask(sys, &of(0))? {
            return Ok(());
        }
        let path = "devices/system/cpu/possible";
        let mut possible = String::new();
        let file = open(sys, path, OFlags::RDONLY).doing("open", path)?;
        std::fs::File::from(file).take(4096).read_to_string(&mut possible).doing("read", path)?;
        for cpu in numbers(&possible).filter(|cpu| *cpu > 0) {
            self.mask(sys, &of(cpu))?;
        }
        Ok(())
    }
}

/// `0-3,8`
fn numbers(list: &str) -> impl Iterator<Item = u32> {
    list.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u32>().ok();
        number(first).zip(number(last)).into_iter().flat_map(|(first, last)| first..=last)
    })
}

/// Sets up a network namespace of the container's own, by the `/proc` there.
pub fn set_up_network(proc: BorrowedFd<'_>) {
    for (path, value) in NETWORK_SETTINGS {
        // without IPv4 there is nothing to set
        if let Ok(file) = open(proc, path, OFlags::WRONLY) {
            let _ = rustix::io::write(file, value.as_bytes());
        }
    }
}

fn make_read_only(directory: BorrowedFd<'_>, path: &str) -> Result<(), Error> {
    let Some(at) = present(directory, path)? else { return Ok(()) };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&at, "", flags).doing("protect", path)?;
    sys::mount_setattr(tree.as_fd(), true, MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into(), 0, 0)
        .doing("protect", path)?;
    put(tree.as_fd(), at.as_fd(), path)
}

fn copy(of: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(of, "", flags)
}

/// `None` if this kernel does not have it.
fn present(directory: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>, Error> {
    match open(directory, path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        opened => opened.doing("open", path).map(Some),
    }
}

pub(super) fn open(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        let list = |text| numbers(text).collect::<Vec<_>>();
        assert_eq!(list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(list("0\n"), [0]);
        assert_eq!(list(""), [] as [u32; 0]);
    }

    #[test]
    fn proc_is_the_kernel_s() {
        for path in ["/proc/1", "/proc/sys", "/proc/sys/kernel", "/proc/cpuinfo/x", "/proc/acpi"] {
            assert!(!may_be_mounted_over(path, false), "{path}");
            assert!(!may_be_mounted_over(path, true), "{path}");
        }
        assert!(!may_be_mounted_over("/proc", false) && may_be_mounted_over("/proc", true));
        for path in ["/proc/cpuinfo", "/process", "/", "/sys", "/dev/proc"] {
            assert!(may_be_mounted_over(path, false), "{path}");
        }
    }
}
