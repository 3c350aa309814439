//! Options of a container that mean nothing to Wasm: refused by name, never ignored.

use super::error::Error;
use knarr_core::spec::{ContainerSpec, Protocol, Seccomp};

/// The options of this spec that have no meaning for a Wasm guest; empty if it can be run as asked.
pub fn check_options(spec: &ContainerSpec) -> Vec<Error> {
    let security = &spec.security;
    let no_processes = "a Wasm guest is one process and starts no others";
    let no_capabilities = "a Wasm guest makes no system calls and has no capabilities";
    let refused = [
        (security.privileged, "--privileged", no_capabilities),
        (!security.cap_add.is_empty(), "--cap-add", no_capabilities),
        (
            security.seccomp != Seccomp::Default,
            "--security-opt seccomp",
            "a Wasm guest makes no system calls; its process keeps Knarr's own filter",
        ),
        (spec.init, "--init", no_processes),
        (
            spec.limits.shm_size.is_some(),
            "--shm-size",
            "a Wasm guest has no shared memory and no /dev/shm",
        ),
        (
            !spec.process.group_add.is_empty(),
            "--group-add",
            "WASI shows a guest neither users nor groups",
        ),
        (
            spec.ports.iter().any(|p| p.protocol == Protocol::Sctp),
            "--publish PORT/sctp",
            "WASI has TCP and UDP only",
        ),
    ];
    refused
        .into_iter()
        .filter(|(given, ..)| *given)
        .map(|(_, flag, reason)| Error::Meaningless { flag: flag.into(), reason: reason.into() })
        .collect()
}
