//! What a container is asked to be: written once at create, never changed.

pub mod asked;
pub mod health;
pub mod isolation;
pub mod limits;
pub mod mode;
pub mod mount;
pub mod network;
pub mod port;
pub mod restart;
pub mod security;
pub mod wasm;

pub use asked::{Asked, Origin};
pub use health::OnUnhealthy;
pub use isolation::{Ipc, Isolation, Sharing};
pub use limits::{BlockLimit, Limits, Ulimit};
pub use mount::{IdMap, IdRange, Mount, MountKind, Ownership, Submounts, VolumeMount};
pub use network::{Attachment, Dns, Link, Mac, NetworkMode, Outbound};
pub use port::{Port, Protocol};
pub use restart::RestartPolicy;
pub use security::{AppArmor, Seccomp, Security};
pub use wasm::{InstanceRequests, WasmOptions};

use crate::id::ContainerId;
use crate::image::config::Healthcheck;
use crate::image::{Digest, Platform};
use crate::record::Record;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What executes a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// wasmtime
    Wasm,
    /// Linux namespaces
    Native,
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
        })
    }
}

impl EngineKind {
    /// What executes a variant for this platform.
    pub fn of(platform: &Platform) -> Self {
        match platform.is_wasm() {
            true => Self::Wasm,
            false => Self::Native,
        }
    }
}

/// The record of what one container runs (`spec.json`). Its name is kept apart, as it can change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    pub id: ContainerId,
    pub created: Timestamp,
    pub image: SpecImage,
    pub engine: EngineKind,
    pub process: Process,
    pub hostname: Option<String>,
    /// `--domainname`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub mounts: Vec<Mount>,
    pub read_only_rootfs: bool,
    pub limits: Limits,
    pub security: Security,
    #[serde(default, skip_serializing_if = "Isolation::is_default")]
    pub isolation: Isolation,
    pub network: NetworkMode,
    /// `--link`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(default)]
    pub dns: Dns,
    /// `--allow-outbound`: where to the guest may connect; `None`: wherever its networks lead.
    #[serde(default)]
    pub outbound: Option<Vec<Outbound>>,
    pub ports: Vec<Port>,
    /// `EXPOSE` and `--expose`, in that order.
    pub exposed: Vec<(u16, Protocol)>,
    /// `NAME:ADDRESS` pairs for `/etc/hosts`.
    pub extra_hosts: Vec<(String, String)>,
    /// Run the command under an init that reaps (native only).
    pub init: bool,
    /// `--rm`
    pub auto_remove: bool,
    #[serde(default)]
    pub restart: RestartPolicy,
    pub log: LogConfig,
    pub healthcheck: Option<Healthcheck>,
    #[serde(default)]
    pub on_unhealthy: OnUnhealthy,
    /// The image's `SHELL`, which a health check may need; empty: `/bin/sh -c`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    pub wasm: WasmOptions,
    #[serde(default, skip_serializing_if = "Asked::is_nothing")]
    pub asked: Asked,
}

impl ContainerSpec {
    /// Whether the container may be started again when it ends, without anybody's doing.
    pub fn may_come_back(&self) -> bool {
        self.restart != RestartPolicy::No || self.on_unhealthy == OnUnhealthy::Restart
    }

    /// Its health check, if it has one that does anything.
    pub fn active_healthcheck(&self) -> Option<&Healthcheck> {
        self.healthcheck.as_ref().filter(|check| check.is_active())
    }

    /// A new container of this image that runs this process, on the host's network, with nothing else asked for.
    pub fn of(image: SpecImage, process: Process) -> Self {
        let engine = EngineKind::of(&image.platform);
        Self {
            id: ContainerId::random(),
            created: Timestamp::now(),
            image,
            engine,
            process,
            hostname: None,
            domainname: None,
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            read_only_rootfs: false,
            limits: Limits::default(),
            security: Security::default(),
            isolation: Isolation::default(),
            network: NetworkMode::Host,
            links: Vec::new(),
            dns: Dns::default(),
            outbound: None,
            ports: Vec::new(),
            exposed: Vec::new(),
            extra_hosts: Vec::new(),
            init: false,
            auto_remove: false,
            restart: RestartPolicy::No,
            log: LogConfig::default(),
            healthcheck: None,
            on_unhealthy: OnUnhealthy::None,
            shell: Vec::new(),
            wasm: WasmOptions::default(),
            asked: Asked::default(),
        }
    }
}

/// The image and variant a container was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecImage {
    /// As the user wrote it.
    pub reference: String,
    /// Digest of the index, or of the manifest where the image has only one: the image's id.
    pub id: Digest,
    /// Digest of the chosen variant's manifest.
    pub manifest: Digest,
    pub platform: Platform,
    /// Why this variant, for `--explain` and `inspect`.
    pub reason: String,
    /// Chain ids of the layers (OCI image-spec, config.md "Layer ChainID"), bottom first: the names of the
    /// folders under `layers/`.
    pub layers: Vec<Digest>,
}

/// The process to run in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What was given or came from the image; kept for `inspect`.
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `NAME=value`, the image's and the user's merged, later ones win. For Wasm as it is; for native
    /// containers the engine adds PATH, HOSTNAME, HOME and TERM where they are missing.
    pub env: Vec<String>,
    /// Absolute; empty means `/`.
    pub cwd: String,
    /// `[user|uid][:group|gid]`; empty means root.
    pub user: String,
    pub group_add: Vec<String>,
    /// `-t`
    pub tty: bool,
    /// `-i`: without it the guest's standard input is empty.
    pub open_stdin: bool,
    /// Name (`SIGTERM`) or number.
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and SIGKILL; `None` means 10.
    pub stop_timeout: Option<u32>,
}

impl Process {
    /// Docker's grace period, in seconds.
    pub const GRACE: u32 = 10;

    /// The command line: entrypoint, then command.
    pub fn args(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).cloned().collect()
    }
}

/// Rotation of `log.jsonl`; on by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Bytes after which a file is rotated.
    pub max_size: u64,
    /// Files kept, the current one included.
    pub max_files: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { max_size: 20 << 20, max_files: 3 }
    }
}

impl Record for ContainerSpec {
    const KIND: &'static str = "container spec";
    const VERSION: u32 = 1;
}
