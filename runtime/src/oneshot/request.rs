//! What is asked of a step, and what it comes to.

use crate::monitor::Failure;
use knarr_core::spec::{Dns, EngineKind, Limits, NetworkMode, Security};
use knarr_core::store::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One process to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub engine: EngineKind,
    /// Mounted for as long as the step runs; what it changes is in `upper` afterwards, and so are the mount points that
    /// were missing.
    pub rootfs: Snapshot,
    /// The command and its arguments; for Wasm the first one names the module.
    pub args: Vec<String>,
    /// `NAME=value`; for native steps PATH, HOSTNAME and HOME are added where they are missing.
    pub env: Vec<String>,
    /// Absolute; empty means `/`.
    pub cwd: String,
    /// `[user|uid][:group|gid]`; empty means root.
    pub user: String,
    pub hostname: Option<String>,
    /// In order; a later one may lie inside an earlier one.
    pub mounts: Vec<StepMount>,
    pub network: NetworkMode,
    pub dns: Dns,
    /// Name and address, for `/etc/hosts`.
    pub extra_hosts: Vec<(String, String)>,
    pub limits: Limits,
    pub security: Security,
}

/// Something of elsewhere in the step's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMount {
    pub source: Source,
    /// Absolute; hostile, resolved inside the step's root. Made if missing.
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file, directory or socket of the host.
    Path(PathBuf),
    /// What lies at a path of other layers, resolved inside them; what is changed there goes into their `upper`.
    Layers { tree: Snapshot, path: String },
    /// Memory; `size` in bytes.
    Tmpfs { size: Option<u64>, mode: Option<u32> },
    /// A file that exists in memory only, for as long as the step runs.
    Secret { content: Vec<u8>, mode: u32, uid: u32, gid: u32 },
    /// A socket whose connections are handed on to an agent's of the host.
    Agent { socket: PathBuf, mode: u32, uid: u32, gid: u32 },
}

/// Where a step wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// The kernel killed a process because the step reached its memory limit.
    OutOfMemory,
}

/// What the helper says once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Ended(Ended),
    Cancelled,
    Failed(Failure),
}
