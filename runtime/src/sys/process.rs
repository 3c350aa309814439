//! Processes: waiting for them and signalling them without mistaking one for another.

use super::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
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

impl From<Process> for OwnedFd {
    fn from(process: Process) -> Self {
        process.pidfd
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Leaves work to a child that outlives this process and holds its namespaces and locks until then: whoever waits for this
/// process waits neither for the work nor for the kernel to take the namespaces apart. `false`: there is no child.
///
/// For a process with a single thread.
pub fn leave_behind(work: impl FnOnce()) -> bool {
    let own = rustix::process::getpid();
    let Ok(parent) = pidfd_open(own, PidfdFlags::empty()) else { return false };
    // SAFETY: a single thread, so nothing is locked in the child, which never returns.
    match unsafe { libc::fork() } {
        -1 => return false,
        0 => {}
        _ => return true,
    }
    // no signal of a terminal ends it, and nobody who reads our output waits for it
    let _ = rustix::process::setsid();
    if let Ok(null) = knarr_core::fsx::open(std::path::Path::new("/dev/null")) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    work();
    let mut ended = [PollFd::new(&parent, PollFlags::IN)];
    while poll(&mut ended, None) == Err(Errno::INTR) {}
    // SAFETY: ends this process without running what its parent registered for its own end.
    unsafe { libc::_exit(0) }
}

/// Closes what a careless caller let this program inherit besides its standard streams: a pipe held open here would keep
/// its reader waiting for as long as this process lives.
///
/// For the beginning of a program, before it has opened anything itself.
pub fn close_inherited() {
    // SAFETY: as documented, nothing in this process owns those descriptors. A kernel without the call (Linux < 5.9)
    // leaves them open, which is untidy but no error.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// In which the kernel tells processor time to programs: so many in a second.
pub fn clock_ticks() -> u64 {
    // SAFETY: takes and touches no memory.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

/// Whether this process has sockets beside its standard streams, among its first descriptors.
pub fn has_sockets() -> bool {
    (3..32).any(|number| {
        // SAFETY: only examined; a number that is no descriptor makes the call fail.
        let file = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(number) });
        file.is_ok_and(|f| FileType::from_raw_mode(f.st_mode) == FileType::Socket)
    })
}

/// How many threads this process has.
pub fn threads() -> usize {
    let path = std::path::Path::new("/proc/self/task");
    knarr_core::fsx::list(path).map_or(1, |tasks| tasks.len())
}
