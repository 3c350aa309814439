//! Namespaces of the calling process.

use super::subordinate::{Ids, Lacking, Subordinate, give_up, subordinate};
use crate::fsx::{self, Context};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, WaitOptions, getegid, geteuid, waitpid};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, UnshareFlags, capabilities, move_into_link_name_space,
    unshare_unsafe,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process is the superuser of the host: user 0, and not only of a user namespace of its own,
/// in which neither devices nor foreign owners nor `trusted.*` attributes can be had.
pub fn is_superuser() -> bool {
    geteuid().is_root() && namespace() == INITIAL
}

/// Which ids files can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// All of the host.
    All,
    /// Those of the user's namespace: the user, who is root there, and subordinate ids.
    Mapped,
    /// The user's own.
    One,
}

/// Which ids the files of this user's images and containers have. Of [`Owners::Mapped`] this process can make and change
/// files only inside ([`gives_owners`]).
pub fn owners() -> Owners {
    let inside = geteuid().is_root().then(namespace);
    match inside {
        Some(INITIAL) => Owners::All,
        Some(MAPPED) => Owners::Mapped,
        None if subordinate().is_ok() => Owners::Mapped,
        _ => Owners::One,
    }
}

/// Whether this process can give files to others.
pub fn gives_owners() -> bool {
    geteuid().is_root() && namespace() != ALONE
}

/// Which of a user and a group this process's namespace has.
pub fn is_mapped(uid: u32, gid: u32) -> [bool; 2] {
    if is_superuser() {
        return [true; 2];
    }
    let [uids, gids] = MAPS.get_or_init(|| ["uid_map", "gid_map"].map(map));
    let has = |map: &[(u64, u64)], id: u32| {
        map.iter().any(|(first, count)| (*first..first + count).contains(&id.into()))
    };
    [has(uids, uid), has(gids, gid)]
}

/// Asked inside only, where nobody changes them any more.
static MAPS: OnceLock<[Vec<(u64, u64)>; 2]> = OnceLock::new();

/// First id inside and count of each line of `/proc/self/uid_map` or `gid_map`.
fn map(name: &str) -> Vec<(u64, u64)> {
    let text = fsx::read_to_string(&Path::new("/proc/self").join(name)).unwrap_or_default();
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.nth(1)?.ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Which user namespace this process is in, once somebody has asked: a start asks several times.
static NAMESPACE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const INITIAL: u8 = 1;
/// One of its own that has nobody else.
const ALONE: u8 = 2;
/// One of its own that has others.
const MAPPED: u8 = 3;

fn namespace() -> u8 {
    let known = NAMESPACE.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known;
    }
    // the initial namespace maps everything onto itself; without /proc we are hardly in another one
    let is_initial = fsx::read_to_string(Path::new("/proc/self/uid_map"))
        .map_or(true, |map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    let has_others = |name| map(name).iter().map(|(_, count)| count).sum::<u64>() > 1;
    let found = match is_initial {
        true => INITIAL,
        false if has_others("uid_map") && has_others("gid_map") => MAPPED,
        false => ALONE,
    };
    NAMESPACE.store(found, Ordering::Relaxed);
    found
}

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

/// Makes the calling process, of an ordinary user, the root of a user namespace and gives it a mount namespace there, so
/// that it may mount overlays. One that is root in such a namespace already stays in it.
///
/// The user is 0 there, and the user's subordinate ids are 1 and above; where they cannot be had ([`subordinate`] says why)
/// nobody else is mapped. The process must have a single thread (the kernel refuses otherwise).
pub fn enter_user_namespace() -> fsx::Result<()> {
    if is_root_of_own() {
        return enter_mount_namespace();
    }
    if let Ok(ids) = subordinate() {
        match enter_mapped(ids) {
            Ok(()) => return enter_mount_namespace(),
            Err(lacking) => give_up(lacking),
        }
    }
    enter_user_namespace_alone()
}

/// As [`enter_user_namespace`], with nobody but the user: it takes no further process.
pub fn enter_user_namespace_alone() -> fsx::Result<()> {
    if is_root_of_own() {
        return enter_mount_namespace();
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let root = Path::new("/");
    // SAFETY: as in enter_mount_namespace; the kernel refuses NEWUSER to a process with threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .at("make a user namespace over", root)?;
    NAMESPACE.store(ALONE, Ordering::Relaxed);
    // without this an unprivileged process may not map groups (CVE-2014-8989)
    fsx::write(Path::new("/proc/self/setgroups"), "deny")?;
    fsx::write(Path::new("/proc/self/gid_map"), format!("0 {gid} 1"))?;
    fsx::write(Path::new("/proc/self/uid_map"), format!("0 {uid} 1"))?;
    mount_change(root, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .at("separate the mounts under", root)
}

/// Moves this process, which has a single thread, into a user namespace of the same user.
pub fn join_user_namespace(other: impl AsFd) -> io::Result<()> {
    // whose ids are lacking cannot be found out inside
    owners();
    move_into_link_name_space(other.as_fd(), Some(LinkNameSpaceType::User))?;
    NAMESPACE.store(UNKNOWN, Ordering::Relaxed);
    Ok(())
}

fn is_root_of_own() -> bool {
    let rules =
        || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    geteuid().is_root() && !is_superuser() && rules()
}

/// Makes a namespace with all ids around a child, which only waits meanwhile, and goes there: whatever fails, this process
/// is where it was.
fn enter_mapped(ids: &Subordinate) -> Result<(), Lacking> {
    let failed = |e: io::Error| Lacking::Namespace { reason: e.to_string() };
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (ready, announce) = pipe().map_err(|e| failed(e.into()))?;
    let (stay, leave) = pipe().map_err(|e| failed(e.into()))?;
    // SAFETY: the child makes system calls only, on descriptors that are its own, and ends without returning.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(failed(io::Error::last_os_error())),
        0 => {
            drop(leave);
            // SAFETY: the child has one thread, and nobody else's state.
            let made = unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }.is_ok();
            let _ = rustix::io::write(&announce, &[u8::from(made)]);
            // to the other's end, however it ends
            let _ = rustix::io::read(&stay, &mut [0; 1]);
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) }
        }
        child => child,
    };
    drop((announce, stay));
    let result = adopt(child, &ready, ids);
    drop(leave);
    if let Some(child) = Pid::from_raw(child) {
        let wait = || waitpid(Some(child), WaitOptions::empty()).err();
        while wait() == Some(rustix::io::Errno::INTR) {}
    }
    result
}

fn adopt(child: i32, ready: &OwnedFd, ids: &Subordinate) -> Result<(), Lacking> {
    let failed = |e: io::Error| Lacking::Namespace { reason: e.to_string() };
    let mut made = [0];
    let read = rustix::io::read(ready, &mut made).map_err(|e| failed(e.into()))?;
    if read != 1 || made != [1] {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    // both at once
    let running = [&ids.uids, &ids.gids].map(|ids| (&ids.program, mapper(ids, child).spawn()));
    let mut result = Ok(());
    for (program, running) in running {
        let refused = |message| Lacking::Refused { program: program.clone(), message };
        match running.and_then(std::process::Child::wait_with_output) {
            Ok(output) if output.status.success() => {}
            Ok(output) => result = Err(refused(one_line(&output.stderr))),
            Err(e) => result = Err(refused(e.to_string())),
        }
    }
    result?;
    let path = PathBuf::from(format!("/proc/{child}/ns/user"));
    let namespace = fsx::open(&path).map_err(|e| failed(e.source))?;
    join_user_namespace(namespace).map_err(failed)
}

/// newuidmap(1) or newgidmap(1): inside, outside and count of each range.
fn mapper(ids: &Ids, process: i32) -> Command {
    let mut command = Command::new(&ids.program);
    command.arg(process.to_string()).args(["0", &ids.own.to_string(), "1"]);
    let mut inside = 1;
    for range in &ids.ranges {
        command.args([inside, range.first, range.count].map(|number| number.to_string()));
        inside += range.count;
    }
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn one_line(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
