//! What the guest's process gives up before the guest runs.
//!
//! wasmtime's sandbox is the first wall; this is the second, for the day when the first has a hole: no capabilities,
//! no new privileges, the image's user, no file outside the root file system and the volumes, few system calls.
//! It works for an ordinary user as well; what only the superuser can drop is then not there to drop.

mod end;
mod landlock;
mod limits;
mod privileges;
mod seccomp;
mod user;

pub(super) use end::{End, leave, wait};
pub(super) use user::Identity;

use super::error::Error;
use super::files::Tree;
use crate::engine::Launch;
use knarr_core::spec::NetworkMode;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// What the confinement came to.
#[derive(Debug, Clone)]
pub(super) struct Confined {
    /// The guest's root file system is the process's own `/`.
    pub changed_root: bool,
    /// What this kernel could not enforce, for the log.
    pub lacking: Vec<String>,
}

/// Confines the guest's process. Afterwards it opens nothing outside the tree: whatever else it needs (the compiled
/// module, listeners, the message pipe) is open already.
pub(super) fn guest(
    launch: &Launch<'_>,
    tree: &Tree,
    identity: &Identity,
    parent: Pid,
) -> Result<Confined, Error> {
    limits::apply(&launch.spec.limits)?;
    let rules = landlock::Rules::open(tree)?;
    let changed_root = tree.is_whole() && change_root(tree)?;
    privileges::drop(identity)?;
    die_with(parent)?;
    let network = launch.spec.network != NetworkMode::None;
    let lacking = rules.enforce(network)?.into_iter().collect();
    seccomp::guest(network)?;
    Ok(Confined { changed_root, lacking })
}

/// Confines a compiler process, which needs nothing but memory and the descriptors it has open.
pub(super) fn compiler(parent: Pid) -> Result<(), Error> {
    limits::apply(&Default::default())?;
    privileges::drop(&Identity::default())?;
    die_with(parent)?;
    landlock::Rules::none().enforce(false)?;
    seccomp::guest(false)
}

/// The system call filter alone.
pub(super) fn filter(network: bool) -> Result<(), Error> {
    privileges::drop(&Identity::default())?;
    seccomp::guest(network)
}

/// Makes the guest's root file system this process's `/`; false if that is not allowed.
fn change_root(tree: &Tree) -> Result<bool, Error> {
    let failed = |e: Errno| Error::confine("changing the root directory", e);
    rustix::process::fchdir(tree.root()).map_err(failed)?;
    match rustix::process::chroot(".") {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

/// The kernel kills this process when its parent dies. Changing the user clears that wish, so it comes afterwards.
fn die_with(parent: Pid) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| Error::confine("setting the death signal", e))?;
    if getppid() != Some(parent) {
        leave(125); // it died before that
    }
    Ok(())
}
