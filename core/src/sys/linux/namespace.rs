//! Namespaces of the calling process.

use crate::fsx::{self, Context};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process is the superuser of the host: user 0, and not only of a user namespace of its own,
/// in which neither devices nor foreign owners nor `trusted.*` attributes can be had.
pub fn is_superuser() -> bool {
    if !geteuid().is_root() {
        return false;
    }
    match NAMESPACE.load(Ordering::Relaxed) {
        INITIAL => return true,
        OWN => return false,
        _ => {}
    }
    // the initial namespace maps everything onto itself; without /proc we are hardly in another one
    let initial = fsx::read_to_string(Path::new("/proc/self/uid_map"))
        .map_or(true, |map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    NAMESPACE.store(if initial { INITIAL } else { OWN }, Ordering::Relaxed);
    initial
}

/// Which user namespace this process is in, once somebody has asked: a start asks several times.
static NAMESPACE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const INITIAL: u8 = 1;
const OWN: u8 = 2;

/// User and group of the process, unless it is the superuser.
pub fn ordinary_user() -> Option<(u32, u32)> {
    (!is_superuser()).then(|| (geteuid().as_raw(), getegid().as_raw()))
}

/// Gives the calling process a mount namespace of its own: mounts of the host go on to arrive, what is
/// mounted here is seen nowhere else and dies with the process.
///
/// For a process with a single thread: only the calling thread changes.
pub fn enter_mount_namespace() -> fsx::Result<()> {
    let root = Path::new("/");
    // SAFETY: NEWNS changes neither the file descriptor table nor memory; it unshares the working
    // directory, which no other thread of a single-threaded process relies on.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.at("make a mount namespace over", root)?;
    mount_change(root, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .at("separate the mounts under", root)
}

/// Makes the calling process, of an ordinary user, the root of a user namespace and gives it a mount
/// namespace there, so that it may mount overlays.
///
/// The user is mapped to 0 and nobody else is mapped. The process must have a single thread (the kernel
/// refuses otherwise).
pub fn enter_user_namespace() -> fsx::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let root = Path::new("/");
    // SAFETY: as in enter_mount_namespace; the kernel refuses NEWUSER to a process with threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .at("make a user namespace over", root)?;
    NAMESPACE.store(OWN, Ordering::Relaxed);
    // without this an unprivileged process may not map groups (CVE-2014-8989)
    fsx::write(Path::new("/proc/self/setgroups"), "deny")?;
    fsx::write(Path::new("/proc/self/gid_map"), format!("0 {gid} 1"))?;
    fsx::write(Path::new("/proc/self/uid_map"), format!("0 {uid} 1"))?;
    mount_change(root, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .at("separate the mounts under", root)
}
