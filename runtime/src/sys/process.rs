//! Processes: waiting for them and signalling them without mistaking one for another.

use super::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A process, held by a descriptor: its number cannot come to mean another one. Readable once it has ended.
#[derive(Debug)]
pub struct Process {
    id: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// The number must belong to a process that cannot have been reaped: an own child, or one whose parent
    /// is known to live.
    pub fn open(id: u32) -> io::Result<Self> {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        Ok(Self { id, pidfd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Its number, its own as long as it has not been reaped.
    pub fn id(&self) -> u32 {
        self.id
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

    /// Kills it, and waits for its end.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.ended()
    }

    pub fn has_ended(&self) -> bool {
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut ended, Some(&Default::default())), Ok(1..))
    }

    /// Waits for the end, and leaves an own child to be reaped.
    pub fn ended(&self) -> io::Result<()> {
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        loop {
            match poll(&mut ended, None) {
                Err(Errno::INTR) => {}
                result => return Ok(result.map(drop)?),
            }
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

/// The numbers of the children of a process, from the kernel's own list (proc_pid_tid_children(5)); none where it keeps none.
pub fn child_ids(parent: u32) -> Vec<u32> {
    let threads = PathBuf::from(format!("/proc/{parent}/task"));
    let names = knarr_core::fsx::list(&threads).unwrap_or_default();
    let lists = names.iter().filter_map(|name| {
        knarr_core::fsx::read_to_string(&threads.join(name).join("children")).ok()
    });
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// The number of the process that has started it; `None` if it has ended.
pub fn parent_id(id: u32) -> Option<u32> {
    let stat = knarr_core::fsx::read_to_string(&PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
    // the name in parentheses may hold anything
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The processes that a process has started and that live.
pub fn children(parent: u32) -> Vec<Process> {
    let is_child = |pid: u32| parent_id(pid) == Some(parent);
    let all = knarr_core::fsx::list(Path::new("/proc")).unwrap_or_default();
    let pids = all.iter().filter_map(|name| name.parse().ok()).filter(|pid| is_child(*pid));
    // the number may have come to mean another one until it was opened, but not later
    let opened = pids.filter_map(|pid| Some((pid, Process::open(pid).ok()?)));
    opened.filter(|(pid, _)| is_child(*pid)).map(|(_, process)| process).collect()
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

/// Forks; `None` in the child. For a process with a single thread.
pub fn fork() -> io::Result<Option<Process>> {
    // SAFETY: a single thread, so the child's heap and locks are in a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Process::open(pid.unsigned_abs()).map(Some),
    }
}

/// Ends this process without running what its parent registered for its own end: for the child of a fork.
pub fn leave() -> ! {
    // SAFETY: no memory is passed.
    unsafe { libc::_exit(0) }
}

/// Makes the child of a fork a process of its own that dies with its parent, and has of its descriptors only these; `false`:
/// it is dead already. What else belongs to the parent's objects must not be touched any more.
pub fn become_child(parent: Pid, kept: impl IntoIterator<Item = RawFd>) -> bool {
    withdraw();
    keep_only(kept);
    let dies =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    dies.is_ok() && rustix::process::getppid() == Some(parent)
}

/// Parts the child of a fork from its parent's terminal and standard streams: no signal of a terminal ends it, and nobody
/// who reads its parent's output waits for it.
pub fn withdraw() {
    let _ = rustix::process::setsid();
    if let Ok(null) = knarr_core::fsx::open(Path::new("/dev/null")) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
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
    withdraw();
    work();
    let mut ended = [PollFd::new(&parent, PollFlags::IN)];
    while poll(&mut ended, None) == Err(Errno::INTR) {}
    leave()
}

/// Closes what a careless caller let this program inherit besides its standard streams: a pipe held open here would keep
/// its reader waiting for as long as this process lives.
///
/// For the beginning of a program, before it has opened anything itself.
pub fn close_inherited() {
    keep_only([]);
}

/// Closes every descriptor but the standard streams and these. What is left open in a process that lives on has its
/// readers wait, its locks held, and shows the host to whoever may look into it.
///
/// For the child of a fork, which touches nothing else of its parent's any more.
pub fn keep_only(kept: impl IntoIterator<Item = RawFd>) {
    let mut kept: Vec<u32> = kept.into_iter().filter_map(|fd| fd.try_into().ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for kept in kept.into_iter().filter(|fd| *fd >= 3) {
        if first < kept {
            close(first, kept - 1);
        }
        first = kept + 1;
    }
    close(first, u32::MAX);
}

fn close(first: u32, last: u32) {
    // SAFETY: by contract of `keep_only` nobody in this process uses them.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
            // Linux before 5.9
            for fd in first..=last.min(1023) {
                libc::close(fd as RawFd);
            }
        }
    }
}

/// What [`note_inherited`] found.
static INHERITED: OnceLock<Vec<RawFd>> = OnceLock::new();

/// Notes what the caller let this program inherit besides its standard streams, and sees to it that no program which is
/// started from here inherits it in turn. It stays open: shells hand over files so (`-f <(…)`).
///
/// For the beginning of a program.
pub fn note_inherited() {
    // one call tells for all numbers whether they are open
    let ask = |fd| libc::pollfd { fd, events: 0, revents: 0 };
    let mut fds: Vec<libc::pollfd> = (3..1024).map(ask).collect();
    // SAFETY: the list outlives the call, which does not wait; the numbers are only looked at. Marking closes nothing, and
    // where the kernel cannot do so (Linux < 5.11) it is the caller who has to take care.
    let asked = unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 0)
    };
    let open = fds.iter().filter(|fd| asked >= 0 && fd.revents & libc::POLLNVAL == 0);
    let _ = INHERITED.set(open.map(|fd| fd.fd).collect());
}

/// Closes what was noted: for a process that becomes a container's monitor, when all options have been read.
pub fn close_noted() {
    for fd in INHERITED.get().into_iter().flatten() {
        // SAFETY: it was open before this program was, so nothing of ours owns it.
        unsafe { libc::close(*fd) };
    }
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
    let path = Path::new("/proc/self/task");
    knarr_core::fsx::list(path).map_or(1, |tasks| tasks.len())
}
