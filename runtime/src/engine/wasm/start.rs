//! The parent's side of a start: fork, then wait for the child's message.

use super::error::Error;
use super::load::Loaded;
use super::message::{self, Message, Ready, Sender};
use super::{confine, run, terminal};
use crate::engine::{Guest, Launch, Stdio};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// Starts a Wasm guest and returns when it is about to run; servers already listen. `loaded` may be what it runs.
///
/// The caller must have a single thread: the guest's process is its fork.
pub fn start(mut launch: Launch<'_>, loaded: Option<Loaded>) -> Result<Guest, Error> {
    let failed = |operation: &'static str| move |e: rustix::io::Errno| Error::system(operation, e);
    let (stdio, master) = match launch.stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let null = || rustix::fs::open("/dev/null", flags, Mode::empty());
            let stdin = stdin.map_or_else(null, Ok).map_err(failed("open /dev/null"))?;
            ([stdin, stdout, stderr], None)
        }
        Stdio::Terminal { rows, columns } => {
            let (master, terminal) =
                terminal::open_pair(rows, columns).map_err(failed("open a terminal"))?;
            let again = |t: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(t, 3);
            let copies = again(&terminal).and_then(|a| Ok([a, again(&terminal)?]));
            let [stdin, stdout] = copies.map_err(failed("open a terminal"))?;
            ([stdin, stdout, terminal], Some(master))
        }
    };
    launch.stdio = Stdio::Terminal { rows: 0, columns: 0 };
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed("make a pipe"))?;
    let parent = rustix::process::getpid();
    // SAFETY: a single thread, as documented, so the child's heap and locks are in a consistent state. The child never
    // returns: it ends in `leave`.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(Error::system("start a process", std::io::Error::last_os_error())),
        0 => {
            let terminal = master.is_some();
            let code = run::child(&launch, loaded, stdio, terminal, write, parent);
            confine::leave(code)
        }
        pid => pid,
    };
    drop(write);
    drop(stdio);
    match message::receive(read) {
        Some(Ok((Ready { ports, lacking, everywhere }, last_words))) => Ok(Guest {
            pid: pid.unsigned_abs(),
            terminal: master,
            ports,
            lacking,
            everywhere,
            last_words: Some(last_words),
        }),
        Some(Err(error)) => {
            end(pid);
            Err(error)
        }
        None => Err(Error::Died { how: end(pid) }),
    }
}

/// Collects a child that has failed, and tells how it ended. It has said its last word or closed the pipe, and is on
/// its way out.
fn end(pid: i32) -> String {
    confine::wait(pid).map_or_else(|e| e.to_string(), |how| how.to_string())
}

/// The child's report of a failure that the parent turns into its own error.
pub(super) fn report(pipe: &mut Sender, error: Error) {
    pipe.send(&Message::Failed(error));
}
