//! System calls that neither std nor rustix offers.
//!
//! Everything here is thin: one call, its error, no policy. The callers hold a single thread (see
//! [`super::spawn`]), which several of these calls need to be sound.
#![allow(clippy::disallowed_methods)] // /proc and /dev only, whose paths are constants

mod privileges;

pub use crate::sys::mount::mount_setattr;
pub use privileges::*;

use rustix::io::{Errno, Result};
use std::ffi::{CStr, c_int, c_long, c_void};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Turns the result of a raw system call into rustix's form.
fn check(result: c_long) -> Result<c_long> {
    if result == -1 {
        // SAFETY: errno of the calling thread, set by the call that just failed
        Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
    } else {
        Ok(result)
    }
}

/// `struct clone_args` of clone3(2), as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Where [`fork`] returned.
pub enum Forked {
    Parent {
        pid: u32,
        /// Names the child even after it died.
        pidfd: OwnedFd,
    },
    Child,
}

/// Forks into new namespaces (`CLONE_NEW*`) and, with `cgroup`, directly into a cgroup of the unified hierarchy.
///
/// Moving a process there afterwards by writing `cgroup.procs` would make the kernel wait for a grace period
/// of RCU: 14 ms on a quiet machine.
///
/// # Safety
///
/// The calling process has exactly one thread: the child gets a copy of that thread only, and every lock another
/// thread held (the allocator's, for one) would stay locked in it for ever.
pub unsafe fn fork(namespaces: c_int, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArgs {
        flags: namespaces as u64 | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of this stack, as after fork(2); `arguments` and `pidfd`
    // outlive the call; the caller promises a single thread
    let pid = unsafe {
        check(libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArgs>()))?
    };
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { pid: pid as u32, pidfd })
}

/// Ends the process at once: no destructors, no `atexit` handlers of the parent's program.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit never returns and touches no memory
    unsafe { libc::_exit(code) }
}

/// Joins namespaces (`CLONE_NEW*`): one that is open, or several of a process at once, by its pidfd.
pub fn setns(from: BorrowedFd<'_>, namespaces: c_int) -> Result<()> {
    // SAFETY: no memory is passed
    check(unsafe { libc::setns(from.as_raw_fd(), namespaces) }.into()).map(drop)
}

/// Does something that makes children, which will be in the PID namespace of another process; later ones are in this
/// process's again.
pub fn among_processes_of<T>(process: BorrowedFd<'_>, act: impl FnOnce() -> T) -> Result<T> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let own = rustix::fs::open("/proc/self/ns/pid", flags, rustix::fs::Mode::empty())?;
    setns(process, libc::CLONE_NEWPID)?;
    let done = act();
    // from a user namespace there is no way back
    let _ = setns(own.as_fd(), libc::CLONE_NEWPID);
    Ok(done)
}

/// The user namespace that a namespace belongs to; one further out than this process's cannot be had (ioctl_ns(2)).
pub fn owner_of(namespace: impl AsFd) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    let number = namespace.as_fd().as_raw_fd();
    // SAFETY: the request takes no argument, and gives a new descriptor
    let owner = check(unsafe { libc::ioctl(number, NS_GET_USERNS as _) }.into())?;
    // SAFETY: it is open, and nobody else's
    Ok(unsafe { OwnedFd::from_raw_fd(owner as RawFd) })
}

/// Leaves namespaces (`CLONE_NEW*`).
pub fn unshare(namespaces: c_int) -> Result<()> {
    // SAFETY: no memory is passed; none of the flags used (NEWCGROUP) separates what other threads rely on
    check(unsafe { libc::unshare(namespaces) }.into()).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec: one call in place of a thousand `close`.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: c_int = 4;
    // SAFETY: marks only, closes nothing that somebody owns
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Makes descriptor 0, 1 or 2 a copy of `from`, without close-on-exec.
pub fn install_stdio(from: BorrowedFd<'_>, to: RawFd) -> Result<()> {
    debug_assert!((0..=2).contains(&to));
    install(from, to)
}

/// Makes [`super::launcher::REPORT`] a copy of `from`, without close-on-exec. Whoever owned that number in this process,
/// which is about to become another program, has lost it.
pub fn install_report(from: BorrowedFd<'_>) -> Result<()> {
    install(from, super::launcher::REPORT)
}

fn install(from: BorrowedFd<'_>, to: RawFd) -> Result<()> {
    if from.as_raw_fd() == to {
        // SAFETY: F_SETFD passes an integer
        return check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }.into()).map(drop);
    }
    // SAFETY: 0 to 2 belong to no OwnedFd, and what belonged to 3 is not used before the program is replaced
    check(unsafe { libc::dup2(from.as_raw_fd(), to) }.into()).map(drop)
}

/// Every signal back to its default action and unblocked: Rust's runtime ignores SIGPIPE, and what is ignored or
/// blocked would stay so in the guest.
pub fn reset_signals() {
    // by the kernel's interface: the C library refuses to touch the two signals it keeps for its threads
    const SIGNALS: c_int = 64;
    let default = [0u64; 4]; // SIG_DFL, no flags, an empty mask, on every architecture
    for signal in 1..=SIGNALS {
        // SAFETY: SIG_DFL installs no handler; the numbers that refuse (SIGKILL, SIGSTOP) are meant to
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<c_void>(),
                size_of::<u64>(),
            );
        }
    }
    // SAFETY: the set is initialised by sigemptyset before it is used
    unsafe {
        let mut none = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Replaces the program; returns only when that failed.
pub fn execve(
    path: &CStr,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> Errno {
    debug_assert!(arguments.last().is_some_and(|p| p.is_null()));
    debug_assert!(environment.last().is_some_and(|p| p.is_null()));
    // SAFETY: both lists end with null and their strings outlive the call
    let result = unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    check(result.into()).err().unwrap_or(Errno::IO)
}

/// Replaces the program by an open file.
pub fn execve_file(
    file: BorrowedFd<'_>,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> Errno {
    debug_assert!(arguments.last().is_some_and(|p| p.is_null()));
    debug_assert!(environment.last().is_some_and(|p| p.is_null()));
    // SAFETY: both lists end with null and their strings outlive the call
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(result).err().unwrap_or(Errno::IO)
}

/// Sets one resource limit; `libc::RLIM_INFINITY` is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure outlives the call
    check(unsafe { libc::setrlimit(resource as _, &raw const limit) }.into()).map(drop)
}

/// The hard limit of this process.
pub fn hard_limit(resource: u32) -> Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call
    check(unsafe { libc::getrlimit(resource as _, &raw mut limit) }.into())?;
    Ok(limit.rlim_max)
}

/// Switches the loopback interface of this network namespace on.
pub fn loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: an all-zero ifreq is valid; name and flags are set before use
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call
    check(
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }
            .into(),
    )
    .map(drop)
}

/// Blocks until one of the signals in `set` arrives.
pub fn wait_signal(set: &libc::sigset_t) -> c_int {
    let mut signal = 0;
    // SAFETY: both pointers outlive the call
    unsafe { libc::sigwait(set, &raw mut signal) };
    signal
}

/// Blocks every signal and returns the full set.
pub fn block_signals() -> libc::sigset_t {
    // SAFETY: the set is initialised by sigfillset before it is used
    unsafe {
        let mut all = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
        all
    }
}

/// A plain fork.
///
/// # Safety
///
/// As for [`fork`]: one thread only.
pub unsafe fn fork_plain() -> Result<u32> {
    // SAFETY: the caller promises a single thread
    check(unsafe { libc::fork() }.into()).map(|pid| pid as u32)
}

/// The generation of Landlock that the kernel has (landlock_create_ruleset(2)).
pub fn landlock_generation() -> Option<u32> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no attributes, and returns a number
    let version = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<c_void>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    });
    version.ok().and_then(|version| u32::try_from(version).ok())
}

/// Gives a file a new owner through its descriptor.
pub fn chown(fd: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    rustix::fs::fchown(
        fd,
        Some(rustix::fs::Uid::from_raw(uid)),
        Some(rustix::fs::Gid::from_raw(gid)),
    )
}
