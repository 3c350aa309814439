//! Processes: waiting for them and signalling them without mistaking one for another.

use super::signal::Signal;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A process, held by a descriptor: its number cannot come to mean another one. Readable once it has ended.
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
}

impl Process {
    /// The number must belong to a process that cannot have been reaped: an own child, or one whose parent
    /// is known to live.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        Ok(Self { pidfd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Sends a signal; one that has ended already has got it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: pidfd_send_signal reads no memory with a null siginfo.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                signal.number(),
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match result {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                e => Err(e),
            },
        }
    }

    /// Reaps an own child that has ended: its exit code, or 128 and the number of the signal that ended it.
    pub fn reap(&self) -> io::Result<u8> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => {
                    let code = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => code & 0xff,
                        (_, Some(signal)) => 128 + signal,
                        _ => 255,
                    };
                    return Ok(u8::try_from(code).unwrap_or(255));
                }
                Ok(None) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Leaves the last use of this process's namespaces to a child that does nothing but outlive it: whoever waits for this
/// process need not wait until the kernel has taken the namespaces apart.
///
/// For a process with a single thread.
pub fn leave_namespaces_behind() {
    let own = rustix::process::getpid();
    let Ok(pidfd) = pidfd_open(own, PidfdFlags::empty()) else { return };
    // SAFETY: a single thread, so nothing is locked in the child, which makes three system calls and ends.
    if unsafe { libc::fork() } != 0 {
        return; // without a child there is only more to wait for
    }
    let fd = pidfd.as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: only what this process does not use any more is closed; `poll` is a valid array of one; the process ends
    // here, and what it inherited is not its own to drop.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, fd - 1, 0);
        libc::syscall(libc::SYS_close_range, fd + 1, u32::MAX, 0);
        while libc::poll(&mut poll, 1, -1) < 0 && *libc::__errno_location() == libc::EINTR {}
        libc::_exit(0)
    }
}

/// How many threads this process has.
pub fn threads() -> usize {
    let path = std::path::Path::new("/proc/self/task");
    knarr_core::fsx::list(path).map_or(1, |tasks| tasks.len())
}
