//! The document that `inspect` gives, under Docker's names.

use super::isolation::Isolation;
use super::mounts::{AskedMount, MountPoint};
use super::others::Others;
use crate::state::{Health, Status};
use knarr_core::image::config::Healthcheck;
use knarr_core::nil;
use knarr_core::spec::EngineKind;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspection {
    pub id: String,
    pub created: String,
    pub path: String,
    pub args: Vec<String>,
    pub state: State,
    /// The image's id.
    pub image: String,
    pub resolv_conf_path: String,
    pub hostname_path: String,
    pub hosts_path: String,
    pub log_path: String,
    pub name: String,
    pub restart_count: u32,
    pub driver: &'static str,
    /// The operating system, as in Docker.
    pub platform: String,
    pub mount_label: &'static str,
    pub process_label: &'static str,
    pub app_armor_profile: String,
    #[serde(rename = "ExecIDs")]
    pub exec_ids: nil::Slice,
    pub graph_driver: GraphDriver,
    pub host_config: HostConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<u64>,
    pub mounts: Vec<MountPoint>,
    pub config: Config,
    pub network_settings: NetworkSettings,
    /// What only Knarr has.
    pub knarr: Knarr,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub status: Status,
    pub running: bool,
    pub paused: bool,
    pub restarting: bool,
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    pub dead: bool,
    pub pid: u32,
    pub exit_code: u8,
    pub error: String,
    pub started_at: String,
    pub finished_at: String,
    /// Of a container with a health check that was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Where the files of a container are.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    pub data: BTreeMap<&'static str, String>,
    pub name: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    #[serde(serialize_with = "nil::slice")]
    pub binds: Vec<String>,
    pub log_config: LogConfig,
    pub network_mode: String,
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    pub restart_policy: RestartPolicy,
    pub auto_remove: bool,
    #[serde(serialize_with = "nil::slice")]
    pub cap_add: Vec<String>,
    #[serde(serialize_with = "nil::slice")]
    pub cap_drop: Vec<String>,
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    #[serde(serialize_with = "nil::slice")]
    pub extra_hosts: Vec<String>,
    #[serde(serialize_with = "nil::slice")]
    pub group_add: Vec<String>,
    #[serde(serialize_with = "nil::omitempty")]
    pub init: bool,
    pub privileged: bool,
    pub readonly_rootfs: bool,
    #[serde(serialize_with = "nil::slice")]
    pub security_opt: Vec<String>,
    pub shm_size: u64,
    #[serde(serialize_with = "nil::slice")]
    pub masked_paths: Vec<String>,
    #[serde(serialize_with = "nil::slice")]
    pub readonly_paths: Vec<String>,
    pub cpu_shares: u64,
    pub memory: u64,
    pub memory_reservation: u64,
    pub memory_swap: i64,
    pub nano_cpus: u64,
    pub cpuset_cpus: String,
    pub pids_limit: Option<u64>,
    pub ulimits: Vec<Ulimit>,
    #[serde(serialize_with = "nil::omitempty_map")]
    pub tmpfs: BTreeMap<String, String>,
    /// What was asked for, else the engine.
    pub runtime: String,
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    #[serde(serialize_with = "nil::slice")]
    pub volumes_from: Vec<String>,
    pub publish_all_ports: bool,
    /// What `--mount` asked for.
    #[serde(serialize_with = "nil::omitempty_slice")]
    pub mounts: Vec<AskedMount>,
    #[serde(flatten)]
    pub isolation: Isolation,
    #[serde(flatten)]
    pub others: Others,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    pub name: &'static str,
    pub maximum_retry_count: u32,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    #[serde(rename = "Type")]
    pub kind: &'static str,
    pub config: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    #[serde(serialize_with = "nil::omitempty_map")]
    pub exposed_ports: BTreeMap<String, Empty>,
    pub tty: bool,
    pub open_stdin: bool,
    pub env: Vec<String>,
    #[serde(serialize_with = "nil::slice")]
    pub cmd: Vec<String>,
    #[serde(serialize_with = "nil::omitempty")]
    pub healthcheck: Option<Healthcheck>,
    /// As the user wrote it.
    pub image: String,
    pub working_dir: String,
    #[serde(serialize_with = "nil::slice")]
    pub entrypoint: Vec<String>,
    pub labels: BTreeMap<String, String>,
    #[serde(serialize_with = "nil::omitempty")]
    pub stop_signal: Option<String>,
    #[serde(serialize_with = "nil::omitempty")]
    pub stop_timeout: Option<u32>,
    pub stdin_once: bool,
    /// The places of anonymous volumes.
    #[serde(serialize_with = "nil::map")]
    pub volumes: BTreeMap<String, Empty>,
    pub on_build: nil::Slice,
    #[serde(serialize_with = "nil::omitempty")]
    pub shell: nil::Slice,
    #[serde(serialize_with = "nil::omitempty")]
    pub args_escaped: bool,
    #[serde(serialize_with = "nil::omitempty")]
    pub network_disabled: bool,
    #[serde(serialize_with = "nil::omitempty")]
    pub mac_address: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Empty {}

/// Addresses are empty on the host's own network, and while the container does not run.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    pub sandbox_key: String,
    /// Published ports that are open, and exposed ones (`null`).
    pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    pub gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// Those of the default network, as in Docker; of the first one if the container is not on that.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    pub mac_address: String,
    pub networks: BTreeMap<String, Network>,
    pub bridge: &'static str,
    pub hairpin_mode: bool,
    #[serde(rename = "LinkLocalIPv6Address")]
    pub link_local_ipv6_address: &'static str,
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    pub link_local_ipv6_prefix_len: u8,
    #[serde(rename = "SecondaryIPAddresses")]
    pub secondary_ip_addresses: nil::Slice,
    #[serde(rename = "SecondaryIPv6Addresses")]
    pub secondary_ipv6_addresses: nil::Slice,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<WishedAddresses>,
    pub links: nil::Slice,
    #[serde(serialize_with = "nil::slice")]
    pub aliases: Vec<String>,
    pub driver_opts: nil::Map,
    pub gw_priority: i32,
    pub mac_address: String,
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    pub gateway: String,
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// The names under which others find it there.
    #[serde(rename = "DNSNames", serialize_with = "nil::slice")]
    pub dns_names: Vec<String>,
}

/// What `--ip`, `--ip6` and `--link-local-ip` asked for.
#[derive(Debug, Clone, Serialize)]
pub struct WishedAddresses {
    #[serde(rename = "IPv4Address", skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(rename = "IPv6Address", skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    pub host_ip: String,
    pub host_port: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Knarr {
    pub engine: EngineKind,
    /// The platform of the variant that runs.
    pub variant: String,
    /// Digest of that variant's manifest.
    pub manifest: String,
    /// Why this variant was chosen.
    pub reason: String,
    pub monitor_pid: u32,
    /// HTTP requests that an instance of a Wasm server answers: a number, or `unlimited`.
    pub instance_requests: String,
    /// `--allow-outbound`; `null`: everywhere.
    pub allow_outbound: Option<Vec<String>>,
    /// Walls that this host could not put up around the guest.
    pub lacking: Vec<String>,
}
