//! Which processes of the host a container consists of.

use knarr_core::fsx;
use knarr_core::spec::EngineKind;
use std::path::{Path, PathBuf};

/// The process ids of a running container, its first process first: for a native one, all in its pid namespace; a Wasm
/// guest is one process.
pub fn processes(engine: EngineKind, guest: u32) -> Vec<u32> {
    let mut pids = vec![guest];
    if engine == EngineKind::Native
        && let Some(namespace) = namespace_of(guest)
    {
        let others = fsx::list(Path::new("/proc")).unwrap_or_default();
        let others = others.iter().filter_map(|name| name.parse().ok());
        pids.extend(
            others.filter(|p| *p != guest && namespace_of(*p).as_ref() == Some(&namespace)),
        );
        pids[1..].sort_unstable();
    }
    pids
}

fn namespace_of(pid: u32) -> Option<PathBuf> {
    knarr_core::sys::read_link(Path::new(&format!("/proc/{pid}/ns/pid"))).ok()
}
