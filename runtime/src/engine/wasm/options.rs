//! Options of a container that mean nothing to Wasm: refused by name, never ignored.

use super::error::Error;
use knarr_core::spec::{Attachment, ContainerSpec, Ipc, NetworkMode, Protocol, Seccomp, Sharing};

const NO_CAPABILITIES: &str = "a Wasm guest makes no system calls and has no capabilities";

impl Error {
    /// This option is about capabilities.
    pub fn no_capabilities(flag: &str) -> Self {
        Self::Meaningless { flag: flag.into(), reason: NO_CAPABILITIES.into() }
    }
}

/// The options of this spec that have no meaning for a Wasm guest; empty if it can be run as asked.
pub fn check_options(spec: &ContainerSpec) -> Vec<Error> {
    let security = &spec.security;
    let no_processes = "a Wasm guest is one process and starts no others";
    let asked = &spec.isolation;
    let no_namespaces =
        "a Wasm guest sees neither processes nor namespaces: there is nothing to share";
    let no_kernel = "a Wasm guest makes no system calls: no setting of the kernel is its own";
    let no_devices = "WASI has no devices";
    let no_capabilities = NO_CAPABILITIES;
    let of_interface = |wish: &Attachment| wish.mac.is_some() || !wish.link_local.is_empty();
    let has_interface = match &spec.network {
        NetworkMode::Networks(wishes) => wishes.iter().any(of_interface),
        _ => false,
    };
    let refused = [
        (
            has_interface,
            "--mac-address and --link-local-ip",
            "the Wasm containers of a network share one interface",
        ),
        (security.privileged, "--privileged", no_capabilities),
        (!security.cap_add.is_empty(), "--cap-add", no_capabilities),
        (
            security.seccomp != Seccomp::Default,
            "--security-opt seccomp",
            "a Wasm guest makes no system calls; its process keeps Knarr's own filter",
        ),
        (spec.init, "--init", no_processes),
        (asked.pid != Sharing::Own, "--pid", no_namespaces),
        (asked.ipc != Ipc::Private, "--ipc", no_namespaces),
        (asked.uts_host, "--uts", no_namespaces),
        (asked.userns_host, "--userns", no_namespaces),
        (asked.cgroupns_host, "--cgroupns", no_namespaces),
        (!asked.sysctls.is_empty(), "--sysctl", no_kernel),
        (!asked.devices.is_empty(), "--device", no_devices),
        (!asked.device_rules.is_empty(), "--device-cgroup-rule", no_devices),
        (
            spec.limits.oom_kill_disable,
            "--oom-kill-disable",
            "the engine refuses a Wasm guest more memory than its limit, and nothing is killed",
        ),
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
