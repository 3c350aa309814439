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

mod capabilities;
mod error;
pub mod etc;
mod exec;
mod init;
mod mounts;
mod program;
mod rootdir;
mod rootfs;
mod seccomp;
mod spawn;
mod start;
pub(super) mod sys;
mod terminal;
mod user;

pub use error::Error;
pub use exec::{ExecProcess, exec};
pub use start::{check, start};

use crate::engine::cgroup::{self, Host, Stats};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;

/// Whether this process is the superuser of the host, not only of a user namespace.
pub fn is_superuser() -> bool {
    rustix::process::geteuid().is_root() && !in_user_namespace()
}

/// Whether this process is in a user namespace (user_namespaces(7), "uid_map").
fn in_user_namespace() -> bool {
    let map = knarr_core::fsx::read_to_string(std::path::Path::new("/proc/self/uid_map"));
    let map = map.unwrap_or_default();
    let mut numbers = map.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next().and_then(Result::ok);
    (next(), next(), next()) != (Some(0), Some(0), Some(u32::MAX.into()))
}

fn host() -> Host {
    Host::detect(is_superuser())
}

/// Ends what is left of a container, and removes its cgroups. What is gone is removed.
///
/// Its mounts are gone with its processes: they exist in its own mount namespace only.
pub fn cleanup(_root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::remove(&host(), id)?)
}

/// Kills all processes of a container and waits for their end.
pub fn kill_all(_root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::kill(&host(), id)?)
}

/// Stops every process of a container where it stands.
pub fn pause(_root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::freeze(&host(), id, true)?)
}

/// Lets a paused container go on.
pub fn resume(_root: &Root, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup::freeze(&host(), id, false)?)
}

/// What a running container uses.
pub fn stats(_root: &Root, id: &ContainerId) -> Result<Stats, Error> {
    Ok(cgroup::stats(&host(), id)?)
}
