//! What Docker's document has besides: true of this machine where it can be told, and Docker's empty value where Knarr has no
//! such thing. Scripts and templates name these fields.

use crate::error::Failure;
use jiff::Timestamp;
use knarr_core::fsx;
use knarr_core::nil;
use knarr_packager::registry::Config;
use knarr_runtime::engine::HostSupport;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Others {
    #[serde(rename = "ID")]
    id: &'static str,
    driver_status: [[&'static str; 2]; 0],
    plugins: Plugins,
    memory_limit: bool,
    swap_limit: bool,
    #[serde(rename = "KernelMemoryTCP")]
    kernel_memory_tcp: bool,
    cpu_cfs_period: bool,
    cpu_cfs_quota: bool,
    #[serde(rename = "CPUShares")]
    cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    cpu_set: bool,
    pids_limit: bool,
    oom_kill_disable: bool,
    #[serde(rename = "IPv4Forwarding")]
    ipv4_forwarding: bool,
    debug: bool,
    n_fd: u32,
    n_goroutines: u32,
    n_events_listener: u32,
    system_time: String,
    logging_driver: &'static str,
    operating_system: String,
    #[serde(rename = "OSVersion")]
    os_version: String,
    index_server_address: &'static str,
    registry_config: RegistryConfig,
    generic_resources: nil::Slice,
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    labels: [&'static str; 0],
    experimental_build: bool,
    /// By the names that `--runtime` takes.
    runtimes: BTreeMap<&'static str, Runtime>,
    swarm: Swarm,
    /// There is no daemon whose end could be theirs.
    live_restore_enabled: bool,
    isolation: &'static str,
    init_binary: &'static str,
    containerd_commit: Commit,
    runc_commit: Commit,
    init_commit: Commit,
    firewall_backend: Backend,
    #[serde(rename = "CDISpecDirs")]
    cdi_spec_dirs: [&'static str; 0],
    containerd: Containerd,
    client_info: Client,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Plugins {
    volume: [&'static str; 1],
    network: [&'static str; 4],
    authorization: nil::Slice,
    log: [&'static str; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegistryConfig {
    index_configs: BTreeMap<String, Index>,
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_registry_cidrs: [&'static str; 2],
    #[serde(serialize_with = "nil::slice")]
    mirrors: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    name: String,
    mirrors: Vec<String>,
    secure: bool,
    official: bool,
}

#[derive(Debug, Serialize)]
struct Runtime {
    path: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm {
    #[serde(rename = "NodeID")]
    node_id: &'static str,
    node_addr: &'static str,
    local_node_state: &'static str,
    control_available: bool,
    error: &'static str,
    remote_managers: nil::Slice,
}

#[derive(Debug, Default, Serialize)]
struct Commit {
    #[serde(rename = "ID")]
    id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Backend {
    driver: &'static str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Containerd {
    address: &'static str,
    namespaces: Namespaces,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Namespaces {
    containers: &'static str,
    plugins: &'static str,
}

/// Client and server are one program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    debug: bool,
    version: &'static str,
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: &'static str,
    git_commit: &'static str,
    go_version: &'static str,
    build_time: &'static str,
    os: &'static str,
    arch: String,
    context: &'static str,
    plugins: [&'static str; 0],
    warnings: nil::Slice,
}

impl Others {
    pub fn gather(host: &HostSupport) -> Result<Self, Failure> {
        let has = |name: &str| host.cgroup_controllers.iter().any(|controller| controller == name);
        let (cpu, memory) = (has("cpu"), has("memory"));
        let release = os_release();
        let of_release = |name: &str| release.get(name).cloned().unwrap_or_default();
        // in either case, as programs have it
        let proxy = |name: &str| {
            let value = std::env::var(name).or_else(|_| std::env::var(name.to_lowercase()));
            value.unwrap_or_default()
        };
        let runtime = || Runtime { path: "knarr" };
        Ok(Self {
            id: "",
            driver_status: [],
            plugins: Plugins {
                volume: ["local"],
                network: ["bridge", "host", "loopback", "null"],
                authorization: nil::Slice,
                log: ["json-file"],
            },
            memory_limit: memory,
            swap_limit: memory,
            kernel_memory_tcp: false,
            cpu_cfs_period: cpu,
            cpu_cfs_quota: cpu,
            cpu_shares: cpu,
            cpu_set: has("cpuset"),
            pids_limit: has("pids"),
            oom_kill_disable: false,
            ipv4_forwarding: is_on("/proc/sys/net/ipv4/ip_forward"),
            debug: false,
            n_fd: 0,
            n_goroutines: 0,
            n_events_listener: 0,
            system_time: Timestamp::now().to_string(),
            logging_driver: "json-file",
            operating_system: of_release("PRETTY_NAME"),
            os_version: of_release("VERSION_ID"),
            index_server_address: "https://index.docker.io/v1/",
            registry_config: registries()?,
            generic_resources: nil::Slice,
            http_proxy: proxy("HTTP_PROXY"),
            https_proxy: proxy("HTTPS_PROXY"),
            no_proxy: proxy("NO_PROXY"),
            labels: [],
            experimental_build: false,
            runtimes: [
                "native",
                "runc",
                "wasm",
                "io.containerd.runc.v2",
                "io.containerd.wasmtime.v1",
            ]
            .map(|name| (name, runtime()))
            .into(),
            swarm: Swarm {
                node_id: "",
                node_addr: "",
                local_node_state: "inactive",
                control_available: false,
                error: "",
                remote_managers: nil::Slice,
            },
            live_restore_enabled: true,
            isolation: "",
            init_binary: "knarr",
            containerd_commit: Commit::default(),
            runc_commit: Commit::default(),
            init_commit: Commit::default(),
            firewall_backend: Backend { driver: "nftables" },
            cdi_spec_dirs: [],
            containerd: Containerd::default(),
            client_info: Client {
                debug: false,
                version: env!("CARGO_PKG_VERSION"),
                default_api_version: crate::commands::version::API_VERSION,
                git_commit: "",
                go_version: "",
                build_time: "",
                os: std::env::consts::OS,
                arch: crate::wiring::host_architecture(),
                context: "default",
                plugins: [],
                warnings: nil::Slice,
            },
        })
    }
}

fn is_on(path: &str) -> bool {
    fsx::read_to_string(Path::new(path)).is_ok_and(|value| value.trim() == "1")
}

/// os-release(5)
fn os_release() -> BTreeMap<String, String> {
    let files = ["/etc/os-release", "/usr/lib/os-release"];
    let text = files.iter().find_map(|path| fsx::read_to_string(Path::new(path)).ok());
    let text = text.unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let unquoted = |value: &str| value.trim_matches(['"', '\'']).to_owned();
    pairs.map(|(name, value)| (name.to_owned(), unquoted(value))).collect()
}

fn registries() -> Result<RegistryConfig, Failure> {
    let config = Config::load()?;
    let index = |name: &str| Index {
        name: name.to_owned(),
        mirrors: config.mirrors_of(name).to_vec(),
        secure: !config.is_insecure(name),
        official: name == "docker.io",
    };
    let named = ["docker.io"].into_iter().chain(config.registries());
    Ok(RegistryConfig {
        index_configs: named.map(|name| (name.to_owned(), index(name))).collect(),
        // plain HTTP is spoken there
        insecure_registry_cidrs: ["::1/128", "127.0.0.0/8"],
        mirrors: config.mirrors_of("docker.io").to_vec(),
    })
}
