//! Ending what is in a cgroup, and waiting for it without sleeping.

use super::{Error, write};
use knarr_core::fsx::{self, Context};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the kernel may take to end what was sent SIGKILL. Only uninterruptible waits (a dead network file system)
/// take longer, and nobody can end those.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills everything in a cgroup and below, waits for its end, and removes both. What is gone is removed.
pub fn clear(path: &Path) -> Result<(), Error> {
    if remove_tree(path)? {
        return Ok(());
    }
    kill(path)?;
    retry(path, "end", || remove_tree(path))
}

/// Sends SIGKILL to everything in a cgroup and below, and waits until all of it has ended.
pub fn kill(path: &Path) -> Result<(), Error> {
    if path.join("cgroup.kill").exists() {
        write(&path.join("cgroup.kill"), "1")?;
        return wait_event(path, "populated 0", "end");
    }
    retry(path, "end", || {
        let mut ended = Vec::new();
        kill_each(path, &mut ended)?;
        let empty = ended.is_empty();
        for process in ended {
            wait_readable(&process, PollFlags::IN, Instant::now() + PATIENCE);
        }
        Ok(empty)
    })
}

/// Kills what the freezer of version 1 holds: the frozen do not die before they are thawed, and thawed before they are
/// killed they would run on for a moment.
pub fn kill_frozen(path: &Path) -> Result<(), Error> {
    let state = path.join("freezer.state");
    match fsx::read_optional(&state)? {
        Some(text) if text != b"THAWED\n" => {
            kill_each(path, &mut Vec::new())?;
            Ok(write(&state, "THAWED")?)
        }
        _ => Ok(()),
    }
}

/// Kernels before 5.14, and version 1.
fn kill_each(path: &Path, ended: &mut Vec<rustix::fd::OwnedFd>) -> Result<(), Error> {
    for child in children(path)? {
        kill_each(&path.join(child), ended)?;
    }
    let Some(pids) = fsx::read_optional(&path.join("cgroup.procs"))? else { return Ok(()) };
    for pid in String::from_utf8_lossy(&pids).lines().filter_map(|pid| pid.parse().ok()) {
        let Some(process) = Pid::from_raw(pid) else { continue };
        // gone meanwhile: so much the better
        let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else { continue };
        if pidfd_send_signal(&process, Signal::KILL).is_ok() {
            ended.push(process);
        }
    }
    Ok(())
}

/// Waits until `cgroup.events` has a line: the kernel tells of changes by POLLPRI.
pub fn wait_event(path: &Path, line: &str, verb: &'static str) -> Result<(), Error> {
    let events = path.join("cgroup.events");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, &events, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.at("open", &events)?,
    };
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 256];
    loop {
        let length = match rustix::io::pread(&file, &mut buffer, 0) {
            Err(Errno::NODEV) => return Ok(()), // removed
            other => other.at("read", &events)?,
        };
        if buffer[..length].split(|b| *b == b'\n').any(|found| found == line.as_bytes()) {
            return Ok(());
        }
        if !wait_readable(&file, PollFlags::PRI, deadline) {
            return Err(Error::Stuck { cgroup: path.to_owned(), verb });
        }
    }
}

/// Asks again and again, in growing steps, where the kernel offers no event to wait for.
pub fn retry(
    path: &Path,
    verb: &'static str,
    mut done: impl FnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut step = Duration::from_micros(100);
    while !done()? {
        if Instant::now() > deadline {
            return Err(Error::Stuck { cgroup: path.to_owned(), verb });
        }
        let step_time = Timespec { tv_sec: 0, tv_nsec: step.as_nanos() as _ };
        let _ = poll(&mut [], Some(&step_time));
        step = (step * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// `false` if nothing happened before the deadline.
fn wait_readable(fd: &impl rustix::fd::AsFd, flags: PollFlags, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(fd, flags)], Some(&left)) {
            Err(Errno::INTR) => {}
            result => return result.is_ok_and(|ready| ready > 0),
        }
    }
}

/// Removes a cgroup and those that the guest made below it. `false` while one of them has processes.
fn remove_tree(path: &Path) -> Result<bool, Error> {
    match rmdir(path) {
        Err(Errno::BUSY) => {}
        other => return other.map(|()| true).at("remove", path).map_err(Error::from),
    }
    for child in children(path)? {
        if !remove_tree(&path.join(child))? {
            return Ok(false);
        }
    }
    match rmdir(path) {
        Err(Errno::BUSY) => Ok(false),
        other => Ok(other.map(|()| true).at("remove", path)?),
    }
}

fn rmdir(path: &Path) -> Result<(), Errno> {
    match rustix::fs::rmdir(path) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// The cgroups directly below one.
fn children(path: &Path) -> Result<Vec<String>, Error> {
    let names = match fsx::list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    Ok(names.into_iter().filter(|name| path.join(name).is_dir()).collect())
}
