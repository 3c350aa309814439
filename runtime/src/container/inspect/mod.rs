//! `inspect`: everything about a container, under Docker's names.

use super::Result;
mod document;
mod isolation;
mod mounts;
mod network;
mod others;

pub use document::*;
pub use mounts::{AskedMount, MountPoint};
pub use others::Others;

use super::list::{self, network_name};
use crate::engine::native;
use crate::reconcile;
use crate::state::{self, Container, Status};
use knarr_core::id::ContainerId;
use knarr_core::nil;
use knarr_core::root::Root;
use knarr_core::spec::{AppArmor, EngineKind, Limits, NetworkMode, Port, Seccomp};
use knarr_core::store::Store;
use knarr_core::sys;
use std::collections::BTreeMap;

/// Docker's name for a time that has not come (Go's zero time).
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Describes a container as it truly is; `size` measures its files as well.
pub fn inspect(store: &Store, id: &ContainerId, size: bool) -> Result<Inspection> {
    let root = store.root();
    let Some(container) = reconcile::container(root, id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let sizes = if size { Some(list::size(store, &container)?) } else { None };
    let mut inspection = describe(root, &container)?;
    inspection.size_rw = sizes.map(|s| s.writable);
    inspection.size_root_fs = sizes.map(|s| s.total);
    Ok(inspection)
}

fn describe(root: &Root, container: &Container) -> Result<Inspection> {
    let Container { spec, state } = container;
    let paths = root.container(&spec.id);
    let args = spec.process.args();
    let etc = |name: &str| match spec.engine {
        EngineKind::Native => native::etc::path(root, spec, name).display().to_string(),
        EngineKind::Wasm => String::new(),
    };
    Ok(Inspection {
        id: spec.id.to_string(),
        created: spec.created.to_string(),
        path: args.first().cloned().unwrap_or_default(),
        args: args.into_iter().skip(1).collect(),
        state: state_of(root, container),
        image: spec.image.id.to_string(),
        resolv_conf_path: etc("resolv.conf"),
        hostname_path: etc("hostname"),
        hosts_path: etc("hosts"),
        log_path: paths.log().display().to_string(),
        name: format!("/{}", state.name),
        restart_count: state.restart_count,
        driver: "overlay",
        platform: spec.image.platform.os.clone(),
        mount_label: "",
        process_label: "",
        app_armor_profile: match spec.engine {
            EngineKind::Native => native::apparmor_profile(&spec.security, sys::is_superuser()),
            EngineKind::Wasm => String::new(),
        },
        exec_ids: nil::Slice,
        graph_driver: graph_driver(root, container),
        host_config: host_config(root, container),
        size_rw: None,
        size_root_fs: None,
        mounts: spec.mounts.iter().map(|mount| mounts::point(root, mount)).collect(),
        config: config(container),
        network_settings: network::settings(root, container)?,
        knarr: Knarr {
            engine: spec.engine,
            variant: spec.image.platform.to_string(),
            manifest: spec.image.manifest.to_string(),
            reason: spec.image.reason.clone(),
            monitor_pid: state.monitor.unwrap_or(0),
            instance_requests: spec.wasm.instance_requests.unwrap_or_default().to_string(),
            allow_outbound: spec
                .outbound
                .as_ref()
                .map(|all| all.iter().map(ToString::to_string).collect()),
            lacking: state.lacking.clone(),
        },
    })
}

fn state_of(root: &Root, container: &Container) -> State {
    let state = &container.state;
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(|| NEVER.into(), |at| at.to_string());
    let exit = state.exit.as_ref();
    State {
        status: state.status,
        running: state.is_alive() || state.status == Status::Restarting,
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: exit.is_some_and(|exit| exit.oom_killed),
        dead: false,
        pid: state.pid.unwrap_or(0),
        exit_code: exit.map_or(0, |exit| exit.code),
        error: exit.and_then(|exit| exit.error.clone()).unwrap_or_default(),
        started_at: time(state.started),
        finished_at: time(state.finished),
        health: state::health(root, container),
    }
}

fn graph_driver(root: &Root, container: &Container) -> GraphDriver {
    let paths = root.container(container.id());
    let layers = container.spec.image.layers.iter().rev();
    let lower: Vec<String> =
        layers.map(|chain| root.layers().join(chain.digest()).display().to_string()).collect();
    let data = [
        ("ID", container.id().to_string()),
        ("LowerDir", lower.join(":")),
        ("MergedDir", paths.rootfs().display().to_string()),
        ("UpperDir", paths.upper().display().to_string()),
        ("WorkDir", paths.work().display().to_string()),
    ];
    GraphDriver { data: data.into(), name: "overlay" }
}

fn host_config(root: &Root, container: &Container) -> HostConfig {
    let spec = &container.spec;
    let (limits, security) = (&spec.limits, &spec.security);
    let mut security_opt = Vec::new();
    if security.no_new_privileges {
        security_opt.push("no-new-privileges".to_owned());
    }
    match &security.seccomp {
        Seccomp::Default => {}
        Seccomp::Unconfined => security_opt.push("seccomp=unconfined".into()),
        Seccomp::Profile(profile) => security_opt.push(format!("seccomp={profile}")),
    }
    match &security.apparmor {
        AppArmor::Default => {}
        AppArmor::Unconfined => security_opt.push("apparmor=unconfined".into()),
        AppArmor::Profile(profile) => security_opt.push(format!("apparmor={profile}")),
    }
    let limit =
        |value: Option<u64>| value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX));
    let mut port_bindings: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    for port in &spec.ports {
        port_bindings.entry(network::port_key(port)).or_default().push(wished(port));
    }
    let rotation =
        [("max-size", spec.log.max_size.to_string()), ("max-file", spec.log.max_files.to_string())];
    let is_protected = spec.engine == EngineKind::Native && !security.privileged;
    let protected = |paths: fn() -> Vec<String>| if is_protected { paths() } else { Vec::new() };
    HostConfig {
        binds: spec.mounts.iter().filter_map(mounts::bind).collect(),
        log_config: LogConfig {
            kind: "json-file",
            config: rotation.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        },
        network_mode: network_name(&spec.network),
        port_bindings,
        restart_policy: RestartPolicy {
            name: spec.restart.name(),
            maximum_retry_count: spec.restart.retries(),
        },
        auto_remove: spec.auto_remove,
        cap_add: capabilities(&security.cap_add),
        cap_drop: capabilities(&security.cap_drop),
        dns: spec.dns.servers.iter().map(ToString::to_string).collect(),
        dns_options: spec.dns.options.clone(),
        dns_search: spec.dns.search.clone(),
        extra_hosts: spec.extra_hosts.iter().map(|(n, a)| format!("{n}:{a}")).collect(),
        group_add: spec.process.group_add.clone(),
        init: spec.init,
        privileged: security.privileged,
        readonly_rootfs: spec.read_only_rootfs,
        security_opt,
        masked_paths: protected(native::protect::masked_paths),
        readonly_paths: protected(native::protect::read_only_paths),
        shm_size: limits.shm_size.unwrap_or(64 << 20),
        cpu_shares: limits.cpu_shares.unwrap_or(0),
        memory: limits.memory.unwrap_or(0),
        memory_reservation: limits.memory_reservation.unwrap_or(0),
        memory_swap: memory_swap(limits),
        nano_cpus: limits.nano_cpus.unwrap_or(0),
        cpuset_cpus: limits.cpuset_cpus.clone().unwrap_or_default(),
        pids_limit: limits.pids,
        ulimits: limits
            .ulimits
            .iter()
            .map(|u| Ulimit { name: u.name.clone(), hard: limit(u.hard), soft: limit(u.soft) })
            .collect(),
        tmpfs: spec.mounts.iter().filter_map(mounts::tmpfs).collect(),
        runtime: spec.asked.runtime.clone().unwrap_or_else(|| spec.engine.to_string()),
        container_id_file: match &spec.asked.cidfile {
            Some(path) => path.display().to_string(),
            None => String::new(),
        },
        volumes_from: spec.asked.volumes_from.clone(),
        publish_all_ports: spec.asked.publish_all,
        mounts: spec.mounts.iter().filter_map(mounts::asked).collect(),
        isolation: isolation::Isolation::of(spec),
        others: Others::with(network::links(root, container)),
    }
}

/// Under the kernel's names, as Docker has them.
fn capabilities(names: &[String]) -> Vec<String> {
    let full = |name: &String| match name.as_str() {
        "ALL" => name.clone(),
        _ => format!("CAP_{}", name.trim_start_matches("CAP_")),
    };
    names.iter().map(full).collect()
}

/// Memory and swap together: twice the memory unless something was said.
fn memory_swap(limits: &Limits) -> i64 {
    match (limits.memory_swap, limits.memory) {
        (None | Some(0), Some(memory)) => {
            i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX)
        }
        (swap, _) => swap.unwrap_or(0),
    }
}

fn config(container: &Container) -> Config {
    let spec = &container.spec;
    let process = &spec.process;
    Config {
        hostname: spec.hostname.clone().unwrap_or_else(|| match spec.network {
            NetworkMode::Host => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            _ => spec.id.short().to_owned(),
        }),
        domainname: spec.domainname.clone().unwrap_or_default(),
        user: process.user.clone(),
        attach_stdin: process.open_stdin,
        attach_stdout: true,
        attach_stderr: true,
        exposed_ports: spec.exposed.iter().map(|(p, t)| (format!("{p}/{t}"), Empty {})).collect(),
        tty: process.tty,
        open_stdin: process.open_stdin,
        env: process.env.clone(),
        cmd: process.cmd.clone(),
        healthcheck: spec.healthcheck.clone(),
        image: spec.image.reference.clone(),
        working_dir: process.cwd.clone(),
        entrypoint: process.entrypoint.clone(),
        labels: spec.labels.clone(),
        stop_signal: process.stop_signal.clone(),
        stop_timeout: process.stop_timeout,
        stdin_once: process.open_stdin,
        volumes: spec.mounts.iter().filter_map(mounts::anonymous).collect(),
        on_build: nil::Slice,
        shell: nil::Slice,
        args_escaped: false,
        network_disabled: false,
        mac_address: "",
    }
}

/// As it was asked for: what was left open is empty.
fn wished(port: &Port) -> PortBinding {
    PortBinding {
        host_ip: port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        host_port: port.host_text(),
    }
}
