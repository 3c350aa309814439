//! Native containers: Linux namespaces, cgroups, seccomp, capabilities.
//!
//! An engine of our own rather than libcontainer: measured in one run, that one took 9.6 ms for what crun does in 7.1
//! (and 8 ms more as soon as a seccomp profile is to be compiled), of which most goes into an intermediate
//! process, a state file, eight cgroup hierarchies and libseccomp. Here the monitor works out everything it can, then forks
//! once, directly into the namespaces and the cgroup; the child does nothing but system calls.
//!
//! It follows the OCI runtime specification (config.md, config-linux.md) where it says how; what is set up is what
//! Docker sets up by default.
//!
//! Every function that forks needs a process with a single thread.

mod apparmor;
mod capabilities;
mod devices;
mod error;
pub mod etc;
mod exec;
mod init;
mod isolation;
mod launcher;
mod mounts;
mod program;
pub(crate) mod protect;
mod rootdir;
mod rootfs;
mod seccomp;
mod spawn;
mod start;
pub(crate) mod sys;
mod terminal;
mod user;

pub(crate) use apparmor::shown as apparmor_profile;
use error::Doing;
pub use error::Error;
pub use exec::{ExecProcess, exec};
pub(crate) use isolation::set_oom_score;
pub(crate) use start::environment;
pub use start::{check, start};

use crate::engine::cgroup::{self, Host, Stats};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::sys::is_superuser;

/// User and group of an image's `USER` (or of `--user`), looked up in the root file system at `rootfs`.
pub fn owner(rootfs: &std::path::Path, user: &str) -> Result<(u32, u32), Error> {
    let tree = rootdir::RootDir::open(rootfs).doing("open", rootfs.display())?;
    let user = user::resolve(&tree, user, &[])?;
    Ok((user.uid, user.gid))
}

/// The cgroup hierarchies in which a container is.
fn host(root: &Root, id: &ContainerId) -> Host {
    Host::of_container(root, id, is_superuser())
}

/// Ends what is left of a container, and removes its cgroups. What is gone is removed.
///
/// Its mounts are gone with its processes: they exist in its own mount namespace only.
pub fn cleanup(root: &Root, id: &ContainerId) -> Result<(), Error> {
    cgroup::remove(&host(root, id), id)?;
    Ok(knarr_core::fsx::remove_file(&cgroup::record(root, id))?)
}

/// Kills all processes of a container and waits for their end.
pub fn kill_all(root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::kill(&host(root, id), id)?)
}

/// Stops every process of a container where it stands.
pub fn pause(root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::freeze(&host(root, id), id, true)?)
}

/// Lets a paused container go on.
pub fn resume(root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::freeze(&host(root, id), id, false)?)
}

/// What a running container uses.
pub fn stats(root: &Root, id: &ContainerId) -> Result<Stats, Error> {
    Ok(cgroup::stats(&host(root, id), id)?)
}

/// Whether the kernel killed a process of a container because it reached its memory limit. Before [`cleanup`].
pub fn was_oom_killed(root: &Root, id: &ContainerId) -> Result<bool, Error> {
    Ok(cgroup::was_oom_killed(&host(root, id), id)?)
}
