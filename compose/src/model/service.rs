//! A service: the containers of one kind.

use std::collections::BTreeMap;

use serde_json::Value;

use super::build::Build;
use super::deploy::{BlkioConfig, Deploy, Develop, DeviceRequest};
use super::invalid::Invalid;
use super::mount::{CredentialSpec, Device, FileMount, VolumeMount};
use super::network::{NetworkAttachment, Port};
use super::pairs::{Environment, Hosts, MultiOptions, Pairs};
use super::record::{Field, Form, record, wrong_kind};
use super::resource::ModelUse;
use super::scalar::{Bytes, Command, Duration, Test};
use crate::node::{Kind, Node};

record! {
    /// One of the `services`.
    ///
    /// Durations, sizes and commands are read; modes of networks, processes and the like (`service:NAME`,
    /// `container:NAME`, `host`) are kept as they stand.
    pub struct Service {
        /// The key of the service. Not written.
        pub name: String => unwritten "name",
        pub profiles: Vec<String> => "profiles",
        pub annotations: Pairs => "annotations",
        pub attach: Option<bool> => "attach",
        pub build: Option<Build> => "build",
        pub develop: Option<Develop> => "develop",
        pub blkio_config: Option<BlkioConfig> => "blkio_config",
        pub cap_add: Vec<String> => "cap_add",
        pub cap_drop: Vec<String> => "cap_drop",
        pub cgroup_parent: String => "cgroup_parent",
        /// `host` or `private`.
        pub cgroup: String => "cgroup",
        pub cpu_count: i64 => "cpu_count",
        pub cpu_percent: f32 => "cpu_percent",
        /// In microseconds, like the next three.
        pub cpu_period: i64 => "cpu_period",
        pub cpu_quota: i64 => "cpu_quota",
        pub cpu_rt_period: i64 => "cpu_rt_period",
        pub cpu_rt_runtime: i64 => "cpu_rt_runtime",
        pub cpus: f32 => "cpus",
        pub cpuset: String => "cpuset",
        pub cpu_shares: i64 => "cpu_shares",
        pub command: Command => "command",
        pub configs: Vec<FileMount> => "configs",
        pub container_name: String => "container_name",
        pub credential_spec: Option<CredentialSpec> => "credential_spec",
        /// With what `links`, `volumes_from` and namespaces of other services imply.
        pub depends_on: BTreeMap<String, Dependency> => "depends_on",
        pub deploy: Option<Deploy> => "deploy",
        pub device_cgroup_rules: Vec<String> => "device_cgroup_rules",
        pub devices: Vec<Device> => "devices",
        pub dns: Vec<String> => "dns",
        pub dns_opt: Vec<String> => "dns_opt",
        pub dns_search: Vec<String> => "dns_search",
        pub domainname: String => "domainname",
        pub entrypoint: Command => "entrypoint",
        pub provider: Option<Provider> => "provider",
        pub environment: Environment => "environment",
        /// What is left to read: the loader reads these into `environment` unless it is told not to.
        pub env_file: Vec<EnvFile> => "env_file",
        /// Ports with an optional `/PROTOCOL`.
        pub expose: Vec<String> => "expose",
        pub external_links: Vec<String> => "external_links",
        pub extra_hosts: Hosts => "extra_hosts",
        pub group_add: Vec<String> => "group_add",
        pub gpus: Vec<DeviceRequest> => "gpus",
        pub hostname: String => "hostname",
        pub healthcheck: Option<Healthcheck> => "healthcheck",
        pub image: String => "image",
        pub init: Option<bool> => "init",
        pub ipc: String => "ipc",
        pub isolation: String => "isolation",
        pub labels: Pairs => "labels",
        /// What is left to read, as with `env_file`.
        pub label_file: Vec<String> => "label_file",
        /// `SERVICE` or `SERVICE:ALIAS`.
        pub links: Vec<String> => "links",
        pub logging: Option<Logging> => "logging",
        pub mem_limit: Bytes => "mem_limit",
        pub mem_reservation: Bytes => "mem_reservation",
        pub memswap_limit: Bytes => "memswap_limit",
        /// In percent.
        pub mem_swappiness: Bytes => "mem_swappiness",
        pub mac_address: String => "mac_address",
        pub models: BTreeMap<String, Option<ModelUse>> => "models",
        pub network_mode: String => "network_mode",
        /// By keys of the project's networks; `default` where the file names none.
        pub networks: BTreeMap<String, Option<NetworkAttachment>> => "networks",
        pub oom_kill_disable: bool => "oom_kill_disable",
        pub oom_score_adj: i64 => "oom_score_adj",
        pub pid: String => "pid",
        pub pids_limit: i64 => "pids_limit",
        pub platform: String => "platform",
        pub ports: Vec<Port> => "ports",
        pub privileged: bool => "privileged",
        /// See [`Service::pull_policy`].
        pub pull_policy: String => "pull_policy",
        pub pull_refresh_after: String => unwritten "pull_refresh_after",
        pub read_only: bool => "read_only",
        /// `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N`.
        pub restart: String => "restart",
        pub runtime: String => "runtime",
        pub scale: Option<i64> => "scale",
        pub secrets: Vec<FileMount> => "secrets",
        pub security_opt: Vec<String> => "security_opt",
        pub shm_size: Bytes => "shm_size",
        pub stdin_open: bool => "stdin_open",
        pub stop_grace_period: Option<Duration> => "stop_grace_period",
        pub stop_signal: String => "stop_signal",
        pub storage_opt: BTreeMap<String, String> => "storage_opt",
        pub sysctls: Pairs => "sysctls",
        /// `PATH` or `PATH:OPTIONS`.
        pub tmpfs: Vec<String> => "tmpfs",
        pub tty: bool => "tty",
        pub ulimits: BTreeMap<String, Option<Ulimit>> => "ulimits",
        pub use_api_socket: bool => "use_api_socket",
        pub user: String => "user",
        pub userns_mode: String => "userns_mode",
        pub uts: String => "uts",
        pub volumes: Vec<VolumeMount> => "volumes",
        /// `SERVICE`, `SERVICE:ro` or `container:NAME[:ro]`.
        pub volumes_from: Vec<String> => "volumes_from",
        pub working_dir: String => "working_dir",
        pub pre_start: Vec<Hook> => "pre_start",
        pub post_start: Vec<Hook> => "post_start",
        pub pre_stop: Vec<Hook> => "pre_stop",
    }

    /// One of a service's `depends_on`.
    pub struct Dependency {
        /// `service_started`, `service_healthy` or `service_completed_successfully`.
        pub condition: String => "condition",
        /// Restart the service when the other one is made anew.
        pub restart: bool => "restart",
        /// Whether it is an error if the other service is disabled.
        pub required: bool => always "required",
    }

    /// `provider`: a program that stands for the service.
    pub struct Provider {
        pub kind: String => "type",
        pub options: MultiOptions => "options",
    }

    /// `healthcheck`.
    pub struct Healthcheck {
        pub test: Test => "test",
        pub timeout: Option<Duration> => "timeout",
        pub interval: Option<Duration> => "interval",
        pub retries: Option<u64> => "retries",
        pub start_period: Option<Duration> => "start_period",
        pub start_interval: Option<Duration> => "start_interval",
        pub disable: bool => "disable",
    }

    /// `logging`.
    pub struct Logging {
        pub driver: String => "driver",
        pub options: Pairs => "options",
    }

    /// A command at a point of a service's life: in its container after the start and before the stop, in one of its own
    /// before the start.
    pub struct Hook {
        pub command: Command => "command",
        /// Only of `pre_start`; the service's own image where there is none.
        pub image: String => "image",
        pub user: String => "user",
        pub privileged: bool => "privileged",
        pub working_dir: String => "working_dir",
        pub environment: Environment => "environment",
        /// Only of `pre_start`: once for each container instead of once for the service.
        pub per_replica: bool => "per_replica",
    }
}

/// One of a service's `env_file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// Absolute.
    pub path: String,
    /// Whether it is an error if the file is absent.
    pub required: bool,
    /// `raw` for values that stand for themselves; otherwise they are quoted and expanded as in `.env`.
    pub format: String,
}

impl Field for EnvFile {
    fn read(node: &Node) -> Result<Self, Invalid> {
        if node.as_map().is_none() {
            return Err(wrong_kind(node, "a mapping"));
        }
        let text = |key: &str| node.get(key).map_or(Ok(String::new()), String::read);
        let required = node.get("required").map_or(Ok(false), bool::read)?;
        Ok(Self { path: text("path")?, required, format: text("format")? })
    }

    fn write(&self, form: Form) -> Value {
        if self.required {
            return Value::String(self.path.clone());
        }
        let mut map = serde_json::Map::new();
        map.insert("path".into(), self.path.clone().into());
        map.insert("required".into(), false.into());
        if form == Form::Json && !self.format.is_empty() {
            map.insert("format".into(), self.format.clone().into());
        }
        Value::Object(map)
    }
}

/// One of the `ulimits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
    /// The file gives one number for both.
    pub single: bool,
}

impl Field for Ulimit {
    fn read(node: &Node) -> Result<Self, Invalid> {
        if let Kind::Map(map) = &node.kind {
            let limit = |key: &str| map.get(key).map_or(Ok(0), i64::read);
            return Ok(Self { soft: limit("soft")?, hard: limit("hard")?, single: false });
        }
        let limit = i64::read(node)?;
        // Compose writes a single 0 like a pair
        Ok(Self { soft: limit, hard: limit, single: limit != 0 })
    }

    fn write(&self, form: Form) -> Value {
        if self.single {
            return self.soft.into();
        }
        let limits = [("soft", self.soft), ("hard", self.hard)];
        let shown = limits.into_iter().filter(|(_, limit)| form == Form::Yaml || *limit != 0);
        Value::Object(shown.map(|(key, limit)| (key.to_owned(), limit.into())).collect())
    }
}
