//! Which file systems a container sees: Docker's own, and those that the user asked for.

use super::error::{Doing, Error};
use super::sys;
use crate::engine::bind::{self, Detached};
use crate::engine::cgroup::Cgroup;
use crate::engine::{MountSource, ResolvedMount};
use crate::sys::tmpfs;
use knarr_core::spec::{ContainerSpec, Ipc, NetworkMode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// One mount: what, with which attributes, and where.
#[derive(Debug)]
pub struct Mount {
    pub what: What,
    pub attributes: MountAttrFlags,
    /// Absolute, in the container; hostile.
    pub target: String,
    /// Whether the target is one of ours, which an image may not have turned into a link.
    pub system: bool,
}

#[derive(Debug)]
pub enum What {
    /// A new file system; made in the container's namespaces, on which several kinds depend.
    New(FileSystem),
    /// A tree that is detached, ready to be put in place.
    Tree { tree: OwnedFd, directory: bool },
    /// The cgroups the container may see.
    Cgroups,
    /// That of another container.
    SharedMemory,
}

/// A file system to be made, with its options.
#[derive(Debug, Clone, Default)]
pub struct FileSystem {
    pub kind: &'static str,
    /// `("size", Some("65536k"))`
    pub options: Vec<(String, Option<String>)>,
}

const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
const NODEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
const INERT: MountAttrFlags = NOSUID.union(NODEV).union(NOEXEC);

/// Where memory is shared.
pub const SHM: &str = "/dev/shm";

/// Docker's default for `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

impl FileSystem {
    pub fn new(kind: &'static str, options: &[(&str, &str)]) -> Self {
        let options =
            options.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
        Self { kind, options: options.collect() }
    }

    /// Makes it, detached.
    pub fn make(&self, attributes: MountAttrFlags) -> Result<OwnedFd, Error> {
        let operation = "make a file system for";
        let context = fsopen(self.kind, FsOpenFlags::FSOPEN_CLOEXEC).doing(operation, self)?;
        for (key, value) in &self.options {
            match value {
                Some(value) => fsconfig_set_string(&context, key.as_str(), value.as_str()),
                None => fsconfig_set_flag(&context, key.as_str()),
            }
            .doing("set an option of", self)?;
        }
        fsconfig_create(&context).doing(operation, self)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).doing(operation, self)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for (key, value) in &self.options {
            write!(f, " {key}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

/// The mounts that every container has, before those of the user.
pub fn defaults(
    spec: &ContainerSpec,
    terminal: Option<OwnedFd>,
    rootless: bool,
) -> Result<Vec<Mount>, Error> {
    let privileged = spec.security.privileged;
    let system = |what, attributes, target: &str| Mount {
        what,
        attributes,
        target: target.to_owned(),
        system: true,
    };
    let new = |kind, options: &[(&str, &str)]| What::New(FileSystem::new(kind, options));
    let sys_attributes = if privileged { INERT } else { INERT | READ_ONLY };
    let shm = spec.limits.shm_size.unwrap_or(SHM_SIZE).to_string();
    let devpts = match terminal {
        Some(tree) => What::Tree { tree, directory: true },
        None => What::New(devpts(rootless)),
    };
    // sysfs shows the network namespace it is mounted from; one that the user namespace does not own may not be mounted
    let sys = if rootless && spec.network == NetworkMode::Host {
        of_host("/sys", sys_attributes)?
    } else {
        new("sysfs", &[])
    };
    let ipc = &spec.isolation.ipc;
    let queues = match ipc {
        Ipc::Host if rootless => of_host("/dev/mqueue", INERT)?,
        _ => new("mqueue", &[]),
    };
    let memory = match ipc {
        Ipc::None => None,
        Ipc::Host => Some(of_host(SHM, INERT)?),
        Ipc::Container(_) => Some(What::SharedMemory),
        Ipc::Private | Ipc::Shareable => Some(new("tmpfs", &[("mode", "1777"), ("size", &shm)])),
    };
    let mut mounts = vec![
        system(new("proc", &[]), INERT, "/proc"),
        system(new("tmpfs", &[("mode", "755"), ("size", "65536k")]), NOSUID, "/dev"),
        system(devpts, NOSUID | NOEXEC, "/dev/pts"),
        system(queues, INERT, "/dev/mqueue"),
    ];
    mounts.extend(memory.map(|memory| system(memory, INERT, SHM)));
    mounts.push(system(sys, sys_attributes, "/sys"));
    mounts.push(system(What::Cgroups, sys_attributes, "/sys/fs/cgroup"));
    Ok(mounts)
}

/// What the host has mounted at a path.
fn of_host(path: &'static str, attributes: MountAttrFlags) -> Result<What, Error> {
    let tree = bind::copy_tree(Path::new(path), true).doing("bind", path)?;
    sys::mount_setattr(tree.as_fd(), true, attributes.bits().into(), 0, libc::MS_PRIVATE)
        .doing("restrict", path)?;
    Ok(What::Tree { tree, directory: true })
}

/// A file system of terminals of the container's own.
pub fn devpts(rootless: bool) -> FileSystem {
    let mut devpts = FileSystem::new("devpts", &[("ptmxmode", "0666"), ("mode", "0620")]);
    devpts.options.push(("newinstance".to_owned(), None));
    if !rootless {
        // the group `tty`, which a user namespace of one user lacks
        devpts.options.push(("gid".to_owned(), Some("5".to_owned())));
    }
    devpts
}

/// Brings the parts in order: a default gives way to a mount of the user with the same target, as do those below `/dev`
/// to one of `/dev` itself. That one stays below the user's: Knarr's own devices are in it.
pub fn merge(mut defaults: Vec<Mount>, files: Vec<Mount>, user: Vec<Mount>) -> Vec<Mount> {
    let mounted = |target: &str| user.iter().any(|mount| clean(&mount.target) == target);
    let dev = mounted("/dev");
    defaults.retain(|mount| {
        let replaced = mounted(&mount.target) || dev && mount.target.starts_with("/dev/");
        !replaced || mount.target == "/dev"
    });
    let files: Vec<Mount> = files.into_iter().filter(|file| !mounted(&file.target)).collect();
    let depth = |mount: &Mount| clean(&mount.target).matches('/').count();
    let mut others: Vec<Mount> = files.into_iter().chain(user).collect();
    // stable: with equal depth, in the order given
    others.sort_by_key(depth);
    defaults.extend(others);
    defaults
}

/// The user's mounts. Sources are opened here, by the monitor: they are paths of the host.
pub fn of_user(mounts: &[ResolvedMount]) -> Result<Vec<Mount>, Error> {
    mounts.iter().map(of_user_one).collect()
}

fn of_user_one(mount: &ResolvedMount) -> Result<Mount, Error> {
    let read_only = if mount.read_only { READ_ONLY } else { MountAttrFlags::empty() };
    let (what, attributes) = match &mount.source {
        MountSource::Path(bind) => {
            let Detached { tree, is_directory } =
                bind.detach(mount.read_only, MountAttrFlags::empty())?;
            (What::Tree { tree, directory: is_directory }, read_only)
        }
        MountSource::Tmpfs { size, mode, options } => {
            let (options, attributes) = tmpfs::options(*size, *mode, options);
            let file_system = FileSystem { kind: "tmpfs", options };
            (What::New(file_system), attributes | read_only)
        }
    };
    Ok(Mount { what, attributes, target: mount.target.clone(), system: false })
}

/// A file of Knarr's own, such as `/etc/hosts`, over the image's.
pub fn of_file(source: &Path, target: &str, read_only: bool) -> Result<Mount, Error> {
    let tree = bind::copy_tree(source, false).doing("bind", source.display())?;
    let attributes = if read_only { READ_ONLY } else { MountAttrFlags::empty() };
    sys::mount_setattr(tree.as_fd(), false, attributes.bits().into(), 0, libc::MS_PRIVATE)
        .doing("bind", source.display())?;
    Ok(Mount {
        what: What::Tree { tree, directory: false },
        attributes: MountAttrFlags::empty(),
        target: target.to_owned(),
        system: false,
    })
}

/// The file systems below `/sys/fs/cgroup`: name of the folder (empty: the place itself), kind, controllers.
///
/// Only hierarchies in which the container has a cgroup of its own: the root of any other would be the host's.
pub fn cgroup_views(cgroup: &Cgroup, only_v2: bool) -> Vec<(String, FileSystem)> {
    if only_v2 {
        return vec![(String::new(), FileSystem::new("cgroup2", &[]))];
    }
    let mut views: Vec<(String, FileSystem)> = cgroup
        .v1_names()
        .map(|name| {
            let mut options: Vec<(String, Option<String>)> =
                name.split(',').map(|controller| (controller.to_owned(), None)).collect();
            if name == "systemd" {
                options = vec![("none".into(), None), ("name".into(), Some(name.to_owned()))];
            }
            (name.to_owned(), FileSystem { kind: "cgroup", options })
        })
        .collect();
    if cgroup.has_unified() {
        views.push(("unified".to_owned(), FileSystem::new("cgroup2", &[])));
    }
    views
}

/// An absolute path without empty components and `.`; `..` stays for the kernel.
pub fn clean(path: &str) -> String {
    let mut cleaned = String::from("/");
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if cleaned.len() > 1 {
            cleaned.push('/');
        }
        cleaned.push_str(name);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(target: &str) -> Mount {
        Mount {
            what: What::New(FileSystem::new("tmpfs", &[])),
            attributes: MountAttrFlags::empty(),
            target: target.to_owned(),
            system: false,
        }
    }

    fn merged(user: &[&str]) -> Vec<String> {
        let list = |targets: &[&str]| targets.iter().map(|t| mount(t)).collect();
        let defaults = list(&["/proc", "/dev", "/dev/pts", "/dev/shm"]);
        let files = list(&["/etc/hosts"]);
        merge(defaults, files, list(user)).into_iter().map(|mount| mount.target).collect()
    }

    #[test]
    fn the_user_s_mounts_come_first() {
        assert_eq!(
            merged(&["/etc", "/a/b/c", "/a", "//dev/shm/"]),
            ["/proc", "/dev", "/dev/pts", "/etc", "/a", "/etc/hosts", "//dev/shm/", "/a/b/c"]
        );
        assert_eq!(merged(&["/dev", "/etc/hosts"]), ["/proc", "/dev", "/dev", "/etc/hosts"]);
    }
}
