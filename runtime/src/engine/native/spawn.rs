//! Forking the container's process, and hearing how its set-up went.

use super::error::{Doing, Error};
use super::program::Program;
use super::sys::{self, Forked};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the child writes when all that is left to do is to start the program.
pub const READY: &[u8] = b"R";

/// How an error crosses the pipe.
#[derive(Serialize, Deserialize)]
enum Report {
    Setup { operation: String, subject: String, errno: i32 },
    WorkingDirectory { path: String, errno: i32 },
    CommandNotFound { command: String },
    PathNotFound { command: String },
    NoInterpreter { command: String },
    NotExecutable { command: String, errno: i32 },
}

/// Forks; the child runs `child`, which either becomes another program or returns the error and the pipe's end.
///
/// Returns when `program` runs. The caller has one thread.
pub fn spawn(
    namespaces: c_int,
    cgroup: Option<BorrowedFd<'_>>,
    program: &Program,
    child: impl FnOnce(OwnedFd) -> (Error, OwnedFd),
) -> Result<u32, Error> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).doing("create", "a pipe")?;
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
    let mut message = Vec::new();
    let read = File::from(reader).read_to_end(&mut message);
    let error = match (read, message.as_slice()) {
        (Ok(_), b"R") => return Ok(pid),
        (Err(error), _) => {
            let failed: Result<(), _> = Err(error);
            failed.doing("read the report of", "the container's process").err()
        }
        (Ok(_), []) => None,
        (Ok(_), report) => {
            let report = report.strip_prefix(READY).unwrap_or(report);
            match <[u8; 4]>::try_from(report) {
                Ok(error) => {
                    Some(program.refusal(Errno::from_raw_os_error(i32::from_ne_bytes(error))))
                }
                Err(_) => serde_json::from_slice::<Report>(report).ok().map(Error::from),
            }
        }
    };
    reap(pidfd.as_fd());
    Err(error.unwrap_or(Error::Vanished))
}

/// Waits for a child that failed; kills it first in case it did not end by itself.
fn reap(pidfd: BorrowedFd<'_>) {
    let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
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
        }
    }
}
