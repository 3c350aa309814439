//! How processes end.

use rustix::process::{Pid, WaitOptions, waitpid};
use std::fmt;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::wasm) enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(libc::SIGSEGV) => f.write_str("segmentation fault"),
            Self::Signal(libc::SIGABRT) => f.write_str("aborted"),
            Self::Signal(libc::SIGSYS) => f.write_str("a forbidden system call"),
            Self::Signal(libc::SIGKILL) => f.write_str("killed; out of memory?"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Waits for a child of this process.
pub(in crate::engine::wasm) fn wait(pid: i32) -> std::io::Result<End> {
    loop {
        match waitpid(Pid::from_raw(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => End::Code(code),
                    (None, Some(signal)) => End::Signal(signal),
                    (None, None) => continue,
                });
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Ends this process at once: no destructors and no exit handlers, which belong to the process it was forked from.
pub(in crate::engine::wasm) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}
