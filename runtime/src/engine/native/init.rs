//! `--init` where there is no [launcher](super::launcher): process 1 of a container that forwards signals and reaps
//! orphans. It is the process that set the container up, after it forked the command.

use super::sys;
use crate::sys::process;
use rustix::process::{Pid, Signal, WaitOptions};

/// Puts the command into a process group of its own, in the foreground of its terminal, as a shell would.
pub fn own_process_group(terminal: bool) {
    let _ = rustix::process::setpgid(None, None);
    if terminal {
        // all signals are still blocked, SIGTTOU too, which stops background processes that do this
        let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpgrp());
    }
}

/// Waits for the command to end, and ends as it did: the kernel kills what is left in the container then.
///
/// `signals` are blocked, all of them.
pub fn run(command: u32, signals: &libc::sigset_t) -> ! {
    // Whoever reads the other ends must see them closed when the command closes them, and nothing that is open here is
    // the container's business. Its streams lead nowhere from here on.
    if let Ok(pipe) = rustix::pipe::pipe() {
        for stream in 0..=2 {
            let _ = sys::install_stdio(rustix::fd::AsFd::as_fd(&pipe.0), stream);
        }
        std::mem::forget(pipe);
    }
    process::keep_only([]);
    let command = Pid::from_raw(command as i32);
    loop {
        if let Some(code) = reap(command) {
            sys::exit_now(code);
        }
        match sys::wait_signal(signals) {
            libc::SIGCHLD => {}
            signal => {
                if let (Some(command), Some(signal)) = (command, Signal::from_named_raw(signal)) {
                    let _ = rustix::process::kill_process(command, signal);
                }
            }
        }
    }
}

/// Reaps whoever ended; the exit code of the command if it was among them.
fn reap(command: Option<Pid>) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if Some(pid) == command {
            code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
        }
    }
    code
}
