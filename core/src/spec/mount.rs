//! Mounts: `-v`, `--mount`, `--tmpfs` in one form.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub kind: MountKind,
    /// Absolute path in the container; resolved inside its root, never followed out of it.
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A file or directory of the host, absolute. With `create`, an absent directory is made (`-v`); without, it
    /// is an error (`--mount`).
    Bind { source: PathBuf, create: bool, propagation: Option<String> },
    /// A named volume; an anonymous one has a generated name and goes with its container.
    Volume { name: String, anonymous: bool, no_copy: bool },
    /// Memory. `size` in bytes, `mode` as octal permission bits.
    Tmpfs { size: Option<u64>, mode: Option<u32>, options: Vec<String> },
}
