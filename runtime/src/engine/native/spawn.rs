//! Forking the container's process, and hearing how its set-up went.

use super::error::{Doing, Error};
use super::program::Program;
use super::sys::{self, Forked};
use crate::sys::signal::SignalQueue;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the child writes when all that is left to do is to start the program.
pub const READY: &[u8] = b"R";

/// More than any report has. The child may be a process that somebody in the container has got hold of.
const LONGEST: usize = 64 << 10;

/// How an error crosses the pipe.
#[derive(Serialize, Deserialize)]
enum Report {
    Setup { operation: String, subject: String, errno: i32 },
    WorkingDirectory { path: String, errno: i32 },
    CommandNotFound { command: String },
    PathNotFound { command: String },
    NoInterpreter { command: String },
    NotExecutable { command: String, errno: i32 },
    MountInProc { target: String },
}

/// Forks; the child runs `child`, which either becomes another program or returns the error and the pipe's end.
///
/// Returns when `program` runs, or has ended already, or one of `signals` ends this process. The caller has one thread.
pub fn spawn(
    namespaces: c_int,
    cgroup: Option<BorrowedFd<'_>>,
    program: &Program,
    signals: Option<&SignalQueue>,
    child: impl FnOnce(OwnedFd) -> (Error, OwnedFd),
) -> Result<u32, Error> {
    // no pipe: who can look into the child could open that
    let (reader, writer) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .doing("create", "a pair of sockets")?;
    // SAFETY: by contract of `native::start` and `native::exec` the process has one thread
    let forked = unsafe { sys::fork(namespaces, cgroup) }
        .doing("create the container's process in", "its namespaces")?;
    let (pid, pidfd) = match forked {
        Forked::Child => {
            drop(reader);
            let (error, writer) = child(writer);
            // the parent reads until the end of file; if it is gone, so is the reason to report
            let report = serde_json::to_vec(&Report::from(error)).unwrap_or_default();
            let _ = File::from(writer).write_all(&report);
            sys::exit_now(1);
        }
        Forked::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(writer);
    let heard = hear(reader, pidfd.as_fd(), signals);
    let error = match heard.as_deref() {
        Ok(b"R") => return Ok(pid),
        Ok(report) => understand(report, program),
        Err(_) => None,
    };
    let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
    let error = match heard {
        // one that is frozen with its container ends later
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(error) => error,
        Ok(_) => error.unwrap_or(Error::Vanished),
    };
    reap(pidfd.as_fd());
    Err(error)
}

/// What the child reports until the program starts or the child ends. Somebody else may keep the other end open.
fn hear(
    from: OwnedFd,
    child: BorrowedFd<'_>,
    signals: Option<&SignalQueue>,
) -> Result<Vec<u8>, Error> {
    const DOING: (&str, &str) = ("read the report of", "the container's process");
    let mut message = Vec::new();
    let mut others = Vec::new();
    let ended = loop {
        let mut fds =
            vec![PollFd::new(&from, PollFlags::IN), PollFd::from_borrowed_fd(child, PollFlags::IN)];
        fds.extend(signals.map(|signals| PollFd::new(signals, PollFlags::IN)));
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            polled => polled.doing(DOING.0, DOING.1)?,
        };
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        if ready(0) {
            let mut buffer = [0; 4096];
            match rustix::io::read(&from, &mut buffer) {
                Err(Errno::INTR) => {}
                // the end: the program runs, or there will be none
                Ok(0) => break None,
                Ok(length) if message.len() + length <= LONGEST => {
                    message.extend(&buffer[..length]);
                }
                Ok(_) => return Err(Error::Vanished),
                Err(error) => return Err(error).doing(DOING.0, DOING.1),
            }
        } else if ready(1) {
            break None;
        } else if let Some(signals) = signals.filter(|_| ready(2)) {
            let arrived = signals.next().doing("receive", "signals")?;
            match arrived {
                Some(signal) if signal.asks_to_end() => break Some(signal),
                arrived => others.extend(arrived),
            }
        }
    };
    // for the program that runs now: they are blocked, and arrive again
    for signal in others {
        let _ = crate::sys::signal::raise(signal);
    }
    match ended {
        Some(signal) => Err(Error::Interrupted { signal: signal.number() }),
        None => Ok(message),
    }
}

fn understand(report: &[u8], program: &Program) -> Option<Error> {
    let report = report.strip_prefix(READY).unwrap_or(report);
    match <[u8; 4]>::try_from(report) {
        Ok(error) => Some(program.refusal(Errno::from_raw_os_error(i32::from_ne_bytes(error)))),
        Err(_) => serde_json::from_slice::<Report>(report).ok().map(Error::from),
    }
}

/// Waits for a child that failed and was killed in case it did not end by itself.
fn reap(pidfd: BorrowedFd<'_>) {
    while let Err(Errno::INTR) =
        rustix::process::waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)
    {}
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        match error {
            Error::Setup { operation, subject, source } => {
                Self::Setup { operation, subject, errno: number(&source) }
            }
            Error::WorkingDirectory { path, source } => {
                Self::WorkingDirectory { path, errno: number(&source) }
            }
            Error::CommandNotFound { command } => Self::CommandNotFound { command },
            Error::PathNotFound { command } => Self::PathNotFound { command },
            Error::NoInterpreter { command } => Self::NoInterpreter { command },
            Error::NotExecutable { command, source } => {
                Self::NotExecutable { command, errno: number(&source) }
            }
            Error::MountInProc { target } => Self::MountInProc { target },
            // errors of the parent's part of the work, which do not occur in the child
            other => Self::Setup {
                operation: "set up".into(),
                subject: format!("the container: {other}"),
                errno: libc::EIO,
            },
        }
    }
}

impl From<Report> for Error {
    fn from(report: Report) -> Self {
        let source = io::Error::from_raw_os_error;
        match report {
            Report::Setup { operation, subject, errno } => {
                Self::Setup { operation, subject, source: source(errno) }
            }
            Report::WorkingDirectory { path, errno } => {
                Self::WorkingDirectory { path, source: source(errno) }
            }
            Report::CommandNotFound { command } => Self::CommandNotFound { command },
            Report::PathNotFound { command } => Self::PathNotFound { command },
            Report::NoInterpreter { command } => Self::NoInterpreter { command },
            Report::NotExecutable { command, errno } => {
                Self::NotExecutable { command, source: source(errno) }
            }
            Report::MountInProc { target } => Self::MountInProc { target },
        }
    }
}
