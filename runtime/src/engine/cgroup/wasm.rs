//! What a cgroup does for Wasm guests.
//!
//! Their memory is the engine's business in the first place, which refuses more instead of letting the kernel kill. The
//! cgroup's limit is behind that, where there is one, for what the engine does not count.

use super::{Cgroup, Error, Host, Scope};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::Limits;
use knarr_core::sys;
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::Write;

/// Bytes that the engine takes for itself beside what a guest has: code, stacks, buffers of its event loop.
const ENGINE: u64 = 32 << 20;

/// The limits of a Wasm guest that need a cgroup; more processes than the one it cannot have.
pub fn limits_of_wasm(limits: &Limits) -> Option<Limits> {
    let needed = Limits {
        nano_cpus: limits.nano_cpus,
        cpu_shares: limits.cpu_shares,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        memory_swappiness: limits.memory_swappiness,
        blkio_weight: limits.blkio_weight,
        block: limits.block.clone(),
        ..Limits::default()
    };
    (needed != Limits::default()).then_some(needed)
}

/// Whether a Wasm guest with these limits has a cgroup, where the host has them.
pub fn is_for_wasm(limits: &Limits) -> bool {
    limits.memory.is_some() || limits_of_wasm(limits).is_some()
}

/// Puts a guest that is already running under limits (Wasm guests, which are forked before they are confined).
pub fn apply_to_wasm(
    root: &Root,
    id: &ContainerId,
    limits: &Limits,
    pid: u32,
) -> Result<(), Error> {
    if !is_for_wasm(limits) {
        return Ok(());
    }
    let needed = limits_of_wasm(limits);
    let host = Host::detect(sys::is_superuser());
    if let Some(memory) = limits.memory {
        let swap = limits.memory_swap.map(|both| match both {
            1.. => both.saturating_add_unsigned(ENGINE),
            other => other,
        });
        let all = Limits {
            memory: Some(memory.saturating_add(ENGINE)),
            memory_swap: swap,
            ..needed.clone().unwrap_or_default()
        };
        if apply(&host, root, id, &all, pid).is_ok() {
            return Ok(());
        }
    }
    needed.map_or(Ok(()), |needed| apply(&host, root, id, &needed, pid))
}

/// Puts a further guest of a container where its first one is.
pub fn join_wasm(limits: &Limits, first: u32, pid: u32) -> Result<(), Error> {
    if !is_for_wasm(limits) {
        return Ok(());
    }
    let (unified, doors) = super::of_process(&Host::detect(sys::is_superuser()), first)?;
    let failed = |source| Error::Join { pid, source };
    for mut door in doors {
        door.write_all(pid.to_string().as_bytes()).map_err(failed)?;
    }
    if let Some(unified) = unified {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let door = openat(&unified, "cgroup.procs", flags, Mode::empty());
        let door = door.map_err(|e| failed(e.into()))?;
        File::from(door).write_all(pid.to_string().as_bytes()).map_err(failed)?;
    }
    Ok(())
}

fn apply(
    host: &Host,
    root: &Root,
    id: &ContainerId,
    limits: &Limits,
    pid: u32,
) -> Result<(), Error> {
    let cgroup = Cgroup::create(host, id, limits, Scope::default())?;
    cgroup.write_down(host, root, id)?;
    cgroup.add(pid)?;
    cgroup.keep();
    Ok(())
}
