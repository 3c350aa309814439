//! What a container may do: capabilities, seccomp, privileges.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Upper case without `CAP_`; `ALL` is all.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    #[serde(default)]
    pub apparmor: AppArmor,
}

/// `--security-opt apparmor=…`; on a host without AppArmor it has no meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppArmor {
    /// Knarr's own profile, which means what Docker's does.
    #[default]
    Default,
    Unconfined,
    /// The name of a profile that is loaded.
    Profile(String),
}

/// `--security-opt seccomp=…`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Docker's default profile.
    #[default]
    Default,
    Unconfined,
    /// A profile in Docker's format, the text of the file that was named.
    Profile(String),
}

/// The 14 capabilities that Docker gives by default, without `CAP_`.
pub const DEFAULT_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
