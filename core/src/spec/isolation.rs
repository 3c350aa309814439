//! What a container shares with the host or with others, and what it is given beyond the defaults (`--pid`, `--ipc`,
//! `--sysctl`, `--device` …). Nothing of this comes from an image.

use crate::id::ContainerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The default shares nothing and gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Isolation {
    pub pid: Sharing,
    pub ipc: Ipc,
    /// `--uts host`
    pub uts_host: bool,
    /// `--userns host`: only noted, since the superuser's containers are in the host's, and others cannot be.
    pub userns_host: bool,
    /// `--cgroupns host`
    pub cgroupns_host: bool,
    /// `net.core.somaxconn`: value
    pub sysctls: BTreeMap<String, String>,
    pub devices: Vec<DeviceMapping>,
    pub device_rules: Vec<DeviceRule>,
    /// `None`: the default of 0.
    pub oom_score_adj: Option<i32>,
    /// Only shown.
    pub annotations: BTreeMap<String, String>,
}

impl Isolation {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A namespace: the container's own, the host's, or another container's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    #[default]
    Own,
    Host,
    Container(ContainerId),
}

/// `--ipc`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ipc {
    /// Its own, with a `/dev/shm` of its own.
    #[default]
    Private,
    /// As `Private`, and others may join.
    Shareable,
    /// Its own, without `/dev/shm`.
    None,
    Host,
    Container(ContainerId),
}

impl fmt::Display for Sharing {
    /// Docker's `PidMode`: empty for its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => Ok(()),
            Self::Host => f.write_str("host"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

impl fmt::Display for Ipc {
    /// Docker's `IpcMode`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::Shareable => f.write_str("shareable"),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

/// `--device HOST[:CONTAINER[:rwm]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// A device node of the host, or a directory of them.
    pub host: String,
    /// Absolute.
    pub container: String,
    pub access: DeviceAccess,
}

/// `--device-cgroup-rule 'c 1:3 rwm'`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    pub kind: DeviceKind,
    /// `None`: any.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: DeviceAccess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// `a`
    All,
    Character,
    Block,
}

/// What may be done with a device: read, write, make its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAccess {
    pub read: bool,
    pub write: bool,
    pub make: bool,
}

impl DeviceAccess {
    pub const ALL: Self = Self { read: true, write: true, make: true };

    /// Letters out of `rwm`, each at most once, at least one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut access = Self { read: false, write: false, make: false };
        for letter in text.chars() {
            let part = match letter {
                'r' => &mut access.read,
                'w' => &mut access.write,
                'm' => &mut access.make,
                _ => return None,
            };
            if std::mem::replace(part, true) {
                return None;
            }
        }
        (!text.is_empty()).then_some(access)
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters.iter().filter(|(has, _)| *has).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

impl DeviceMapping {
    /// Two parts are a path and where it goes, or a path and what may be done with it, as in Docker.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (host, container, access) = match parts[..] {
            [host] => (host, host, DeviceAccess::ALL),
            [host, second] => match DeviceAccess::parse(second) {
                Some(access) => (host, host, access),
                None => (host, second, DeviceAccess::ALL),
            },
            [host, container, access] => (host, container, DeviceAccess::parse(access)?),
            _ => return None,
        };
        let is_path = |path: &str| path.starts_with('/') && !path.split('/').any(|p| p == "..");
        (is_path(host) && is_path(container)).then(|| Self {
            host: host.to_owned(),
            container: container.to_owned(),
            access,
        })
    }
}

impl DeviceRule {
    /// `c 1:3 rwm`, `b *:* r`, `a *:* rwm`
    pub fn parse(text: &str) -> Option<Self> {
        let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
        let number = |text: &str| match text {
            "*" => Some(None),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
            _ => None,
        };
        let (major, minor) = numbers.split_once(':')?;
        Some(Self {
            kind: match kind {
                "a" => DeviceKind::All,
                "b" => DeviceKind::Block,
                "c" => DeviceKind::Character,
                _ => return None,
            },
            major: number(major)?,
            minor: number(minor)?,
            access: DeviceAccess::parse(access)?,
        })
    }
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Character => 'c',
            DeviceKind::Block => 'b',
        };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// Whether the kernel keeps a setting apart for each IPC namespace (Docker's list).
pub fn is_sysctl_of_ipc(name: &str) -> bool {
    const OF_IPC: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shm_rmid_forced",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    ];
    OF_IPC.contains(&name) || name.starts_with("fs.mqueue.")
}

/// Whether the kernel keeps a setting apart for each network namespace.
pub fn is_sysctl_of_network(name: &str) -> bool {
    name.starts_with("net.")
}

/// Where a setting is below `/proc/sys`; `None` if the name is none of those that a container may have of its own.
pub fn sysctl_path(name: &str) -> Option<String> {
    let known = is_sysctl_of_ipc(name) || is_sysctl_of_network(name);
    let plain = |part: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_-@".contains(&b);
        !part.is_empty() && part.bytes().all(letter)
    };
    (known && name.split('.').all(plain)).then(|| name.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let shown = |text: &str| {
            DeviceMapping::parse(text).map(|d| format!("{} {} {}", d.host, d.container, d.access))
        };
        for (text, expected) in [
            ("/dev/fuse", "/dev/fuse /dev/fuse rwm"),
            ("/dev/fuse:r", "/dev/fuse /dev/fuse r"),
            ("/dev/fuse:/dev/x", "/dev/fuse /dev/x rwm"),
            ("/dev/fuse:/x:mr", "/dev/fuse /x rm"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "fuse", "/dev/a:b", "/dev/a:/b:x", "/dev/a:/b:rr", "/a:/b:r:w", "/a:/../b"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn rules_of_devices() {
        for text in ["c 1:3 rwm", "b *:* r", "a *:* rwm", "c 10:* w"] {
            assert_eq!(DeviceRule::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "c", "d 1:3 r", "c 1 r", "c 1:x r", "c 1:3 q", "c 1:3  r", "c +1:3 r"] {
            assert_eq!(DeviceRule::parse(text), None, "{text}");
        }
    }

    #[test]
    fn settings_of_a_namespace() {
        for (name, path) in [
            ("net.core.somaxconn", Some("net/core/somaxconn")),
            ("net.ipv4.conf.eth0.forwarding", Some("net/ipv4/conf/eth0/forwarding")),
            ("kernel.shmmax", Some("kernel/shmmax")),
            ("fs.mqueue.msg_max", Some("fs/mqueue/msg_max")),
            ("kernel.core_pattern", None),
            ("kernel.hostname", None),
            ("vm.swappiness", None),
            ("net", None),
            ("net.", None),
            ("net...kernel.x", None),
            ("net./../kernel", None),
            ("net/core/somaxconn", None),
        ] {
            assert_eq!(sysctl_path(name).as_deref(), path, "{name}");
        }
    }
}
