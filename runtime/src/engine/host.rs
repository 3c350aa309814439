//! What this host offers to containers (`knarr info`).

use super::cgroup::{Host, Version};
use knarr_core::fsx;
use knarr_core::sys::is_superuser;
use std::path::Path;

/// What this host offers.
#[derive(Debug, Clone)]
pub struct HostSupport {
    /// `6.1.0`
    pub kernel: String,
    pub cgroup_version: Version,
    /// The controllers with which limits can be enforced by this user.
    pub cgroup_controllers: Vec<String>,
    /// Whether the kernel knows overlayfs (it may have to load it first).
    pub overlay: bool,
    pub seccomp: bool,
    /// The generation of Landlock; `None` without it.
    pub landlock: Option<u32>,
    /// Whether the kernel mediates by AppArmor or SELinux.
    pub security_modules: Vec<String>,
    /// Whether an ordinary user may make user namespaces, which native containers without the superuser need.
    pub user_namespaces: UserNamespaces,
    /// Whether this process is an ordinary user's.
    pub rootless: bool,
}

/// Whether an ordinary user may make user namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNamespaces {
    Available,
    /// The kernel was built without them.
    NotBuilt,
    /// The limit of a sysctl is 0.
    LimitIsZero,
    /// A sysctl of Debian's kernels forbids it.
    Forbidden,
    /// AppArmor lets only profiled programs do it (Ubuntu since 23.10).
    AppArmor,
}

impl UserNamespaces {
    /// What would have to change for native containers of ordinary users.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::NotBuilt => Some("boot a kernel with CONFIG_USER_NS"),
            Self::LimitIsZero => Some("as the superuser: sysctl user.max_user_namespaces=10000"),
            Self::Forbidden => Some("as the superuser: sysctl kernel.unprivileged_userns_clone=1"),
            Self::AppArmor => Some(
                "as the superuser: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give knarr an AppArmor profile with 'userns'",
            ),
        }
    }

    pub fn detect() -> Self {
        if !Path::new("/proc/self/ns/user").exists() {
            Self::NotBuilt
        } else if sysctl("user/max_user_namespaces").is_some_and(|n| n == "0") {
            Self::LimitIsZero
        } else if sysctl("kernel/unprivileged_userns_clone").is_some_and(|n| n == "0") {
            Self::Forbidden
        } else if sysctl("kernel/apparmor_restrict_unprivileged_userns").is_some_and(|n| n == "1") {
            Self::AppArmor
        } else {
            Self::Available
        }
    }
}

/// Asks the kernel. Changes nothing, and finds out nothing by trial that an ordinary user may not try.
pub fn host_support() -> HostSupport {
    let superuser = is_superuser();
    let host = Host::detect(superuser);
    let mut controllers = host.unified_controllers().unwrap_or_default();
    controllers.extend(host.v1.iter().flat_map(|v1| v1.name.split(',').map(str::to_owned)));
    controllers.retain(|name| name != "systemd");
    controllers.sort();
    controllers.dedup();
    let modules = text(Path::new("/sys/kernel/security/lsm")).unwrap_or_default();
    let mediating = ["apparmor", "selinux"];
    HostSupport {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cgroup_version: host.version,
        cgroup_controllers: controllers,
        overlay: knows_overlay(),
        seccomp: text(Path::new("/proc/sys/kernel/seccomp/actions_avail"))
            .is_some_and(|actions| actions.split_whitespace().any(|action| action == "errno")),
        landlock: super::native::sys::landlock_generation(),
        security_modules: modules
            .split(',')
            .filter(|name| mediating.contains(name))
            .map(str::to_owned)
            .collect(),
        user_namespaces: UserNamespaces::detect(),
        rootless: !superuser,
    }
}

/// Registered, or at hand as a module.
fn knows_overlay() -> bool {
    let registered = text(Path::new("/proc/filesystems")).unwrap_or_default();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    registered.lines().any(|line| line.ends_with("\toverlay"))
        || Path::new("/lib/modules").join(release).join("kernel/fs/overlayfs").exists()
}

fn sysctl(name: &str) -> Option<String> {
    text(&Path::new("/proc/sys").join(name))
}

fn text(path: &Path) -> Option<String> {
    fsx::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_described() {
        let support = host_support();
        assert!(support.kernel.starts_with(|c: char| c.is_ascii_digit()));
        assert!(support.seccomp && support.overlay);
        assert_ne!(support.cgroup_version, Version::None);
        assert_eq!(support.rootless, !is_superuser());
    }
}
