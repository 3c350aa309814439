//! Which processes of the host a container consists of.

use crate::sys::process;
use knarr_core::fsx;
use knarr_core::spec::{ContainerSpec, EngineKind};
use std::path::{Path, PathBuf};

/// The process ids of a running container, its first process first: for a native one, all in its pid namespace, which
/// are in its cgroup where it has one: others may share the namespace. A Wasm guest is one process, and there may be further
/// guests.
pub fn processes(spec: &ContainerSpec, guest: u32) -> Vec<u32> {
    let mut pids = vec![guest];
    if spec.engine == EngineKind::Wasm {
        pids.extend(process::parent_id(guest).into_iter().flat_map(further));
        return pids;
    }
    let is_in_cgroup = |pid: u32| {
        let cgroups = fsx::read_to_string(Path::new(&format!("/proc/{pid}/cgroup")));
        cgroups.is_ok_and(|cgroups| cgroups.contains(spec.id.as_str()))
    };
    let has_cgroup = is_in_cgroup(guest);
    if let Some(namespace) = namespace_of(guest) {
        let others = fsx::list(Path::new("/proc")).unwrap_or_default();
        let others = others.iter().filter_map(|name| name.parse().ok());
        pids.extend(
            others
                .filter(|p| *p != guest && namespace_of(*p).as_ref() == Some(&namespace))
                .filter(|p| !has_cgroup || is_in_cgroup(*p)),
        );
        pids[1..].sort_unstable();
    }
    pids
}

/// The further guests of a Wasm container: each is the child of a child that its monitor forked for it.
pub fn further(monitor: u32) -> Vec<u32> {
    process::child_ids(monitor).into_iter().flat_map(process::child_ids).collect()
}

fn namespace_of(pid: u32) -> Option<PathBuf> {
    knarr_core::sys::read_link(Path::new(&format!("/proc/{pid}/ns/pid"))).ok()
}
