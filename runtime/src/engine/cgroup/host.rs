//! Which cgroup hierarchies this host has, and where Knarr's part of them begins.

use super::Error;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use rustix::fs::statfs;
use std::path::{Path, PathBuf};

const MOUNTS: &str = "/sys/fs/cgroup";
/// linux/magic.h
const CGROUP_V1: u64 = 0x0027_e0eb;
const CGROUP_V2: u64 = 0x6367_7270;

/// The hierarchies of version 1, in the order in which they are joined. `systemd` has no controller.
const V1_NAMES: &[&str] = &[
    "cpuset",
    "cpu",
    "cpuacct",
    "memory",
    "devices",
    "freezer",
    "pids",
    "blkio",
    "net_cls",
    "net_prio",
    "perf_event",
    "hugetlb",
    "rdma",
    "misc",
    "systemd",
];

/// How the host's cgroups are set up (cgroups(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Only version 1.
    V1,
    /// Controllers in version 1, and a version 2 hierarchy beside them.
    Hybrid,
    /// Only version 2.
    V2,
    /// Not mounted.
    None,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1 => "1",
            Self::Hybrid => "1 (hybrid)",
            Self::V2 => "2",
            Self::None => "none",
        })
    }
}

/// A hierarchy of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1 {
    /// `memory`, or `cpu,cpuacct` where two share one.
    pub name: String,
    pub path: PathBuf,
}

impl V1 {
    pub fn has(&self, controller: &str) -> bool {
        self.name.split(',').any(|name| name == controller)
    }
}

/// The host's cgroup hierarchies as this process sees them.
#[derive(Debug, Clone)]
pub struct Host {
    pub version: Version,
    /// The directory of version 2 below which `knarr` is made; without the superuser's rights, the cgroup that was
    /// delegated to this process, if one was.
    pub unified: Option<PathBuf>,
    /// Where version 2 is mounted.
    pub unified_mount: Option<PathBuf>,
    pub v1: Vec<V1>,
    /// Whether the process may write the hierarchies at their top.
    pub superuser: bool,
}

impl Host {
    pub fn detect(superuser: bool) -> Self {
        let is = |path: &Path, magic: u64| statfs(path).is_ok_and(|s| s.f_type as u64 == magic);
        let top = Path::new(MOUNTS);
        let mut host = Self {
            version: Version::None,
            unified: None,
            unified_mount: None,
            v1: Vec::new(),
            superuser,
        };
        if is(top, CGROUP_V2) {
            host.version = Version::V2;
            host.unified = Some(top.to_owned());
        } else {
            for name in V1_NAMES {
                let path = top.join(name);
                if host.v1.iter().any(|known| known.has(name)) || !is(&path, CGROUP_V1) {
                    continue;
                }
                // `cpu` is a link to `cpu,cpuacct` where both are one hierarchy
                let shared = rustix::fs::readlink(&path, Vec::new()).ok();
                let shared = shared.and_then(|target| target.into_string().ok());
                let name = shared.unwrap_or_else(|| (*name).to_owned());
                host.v1.push(V1 { path: top.join(&name), name });
            }
            let unified = top.join("unified");
            if is(&unified, CGROUP_V2) {
                host.unified = Some(unified);
            }
            host.version = match (host.v1.is_empty(), &host.unified) {
                (false, None) => Version::V1,
                (false, Some(_)) => Version::Hybrid,
                (true, _) => Version::None,
            };
        }
        host.unified_mount.clone_from(&host.unified);
        if !superuser {
            host.v1.clear();
            host.unified = host.unified.take().and_then(|top| delegated(&top));
        }
        host
    }

    /// The hierarchies of a container that may exist already: an ordinary user's was made in the cgroup that its
    /// monitor was in, which need not be this process's.
    pub fn of_container(root: &Root, id: &ContainerId, superuser: bool) -> Self {
        let mut host = Self::detect(superuser);
        if !superuser && let Ok(Some(base)) = fsx::read_optional(&super::record(root, id)) {
            host.unified = Some(PathBuf::from(String::from_utf8_lossy(&base).into_owned()));
        }
        host
    }

    /// The controllers that a container's cgroup can have in the unified hierarchy.
    pub fn unified_controllers(&self) -> Result<Vec<String>, Error> {
        let Some(unified) = &self.unified else { return Ok(Vec::new()) };
        let text = fsx::read_to_string(&unified.join("cgroup.controllers"))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// The v1 hierarchy with this controller.
    pub fn v1_of(&self, controller: &str) -> Option<&V1> {
        self.v1.iter().find(|v1| v1.has(controller))
    }
}

/// This process's own cgroup, if it was given to the user: its owner may make cgroups and move processes in it.
fn delegated(top: &Path) -> Option<PathBuf> {
    let own = fsx::read_to_string(Path::new("/proc/self/cgroup")).ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = if own.is_empty() { top.to_owned() } else { top.join(own) };
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    (writable(&path) && writable(&path.join("cgroup.procs"))).then_some(path)
}
