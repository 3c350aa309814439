//! From the mounts of a container's record to paths of the host.

use super::Error;
use crate::engine::{Bind, MountSource, ResolvedMount, native};
use crate::sys::mount::{self, Containing};
use crate::sys::{own, resolve};
use crate::volume;
use knarr_core::fsx::{self, Context};
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, IdMap, Mount, MountKind, Ownership};
use knarr_core::sys;
use std::path::Path;

/// Where everything is, from the mounts of the record. Makes volumes that are missing, their files reachable, and missing
/// folders for `-v`. For the host's mount namespace, where others are to see a volume in memory.
pub(crate) fn resolve(root: &Root, spec: &ContainerSpec) -> Result<Vec<ResolvedMount>, Error> {
    let mut mounts = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let source = match &mount.kind {
            MountKind::Bind { source, create, propagation, submounts } => {
                if !source.exists() {
                    if !create {
                        let (path, target) = (source.clone(), mount.target.clone());
                        return Err(Error::MountSource { path, target });
                    }
                    fsx::create_dir_all(source)?;
                }
                MountSource::Path(Bind {
                    propagation: propagation.clone(),
                    submounts: *submounts,
                    ..Bind::of(source)
                })
            }
            MountKind::Volume(wanted) => {
                let volume = volume::create(root, wanted.into())?;
                volume::mount(root, &volume)?;
                let subpath = wanted.subpath.clone();
                MountSource::Path(Bind { subpath, ..Bind::of(volume.data(root)?) })
            }
            MountKind::Tmpfs { size, mode, options } => {
                MountSource::Tmpfs { size: *size, mode: *mode, options: options.clone() }
            }
        };
        let (target, read_only) = (mount.target.clone(), mount.read_only);
        mounts.push(ResolvedMount { source, target, read_only });
    }
    Ok(mounts)
}

/// Takes from the host what a container is to share with it, in the host's mount namespace: elsewhere it is shared no more.
pub(super) fn share(mounts: &mut [ResolvedMount]) -> Result<(), Error> {
    mounts.iter_mut().try_for_each(|mount| match &mut mount.source {
        MountSource::Path(bind) => share_one(bind, &mount.target),
        MountSource::Tmpfs { .. } => Ok(()),
    })
}

fn share_one(bind: &mut Bind, target: &str) -> Result<(), Error> {
    let Some(word) = bind.propagation.as_deref() else { return Ok(()) };
    let wanted = match word.trim_start_matches('r') {
        "shared" => "shared",
        "slave" => "shared or slave",
        _ => return Ok(()),
    };
    let found = mount::containing(&bind.path).at("inspect", &bind.path)?;
    let fits = |on: &Containing| on.is_shared || (on.is_slave && wanted != "shared");
    if let Some(on) = found.filter(|on| !fits(on)) {
        let (path, mount_point) = (bind.path.clone(), on.mount_point);
        return Err(Error::NoPropagation { path, mount_point, wanted });
    }
    if wanted != "shared" {
        return Ok(());
    }
    if !sys::is_superuser() {
        return Err(Error::SharedOfUser { target: target.to_owned() });
    }
    Ok(bind.take().map_err(native::Error::from)?)
}

/// Fills the volumes that are new with what the image has at their place.
pub(super) fn fill_volumes(root: &Root, spec: &ContainerSpec, rootfs: &Path) -> Result<(), Error> {
    for mount in &spec.mounts {
        if let Some(volume) = mount.volume()
            && !volume.no_copy
            && volume.subpath.is_none()
        {
            volume::copy_up(root, &volume.name, rootfs, &mount.target)?;
        }
    }
    Ok(())
}

/// Sees to it that the files belong to whom they should: `mounts` are those of the record, resolved.
pub(super) fn set_owners(
    spec: &ContainerSpec,
    rootfs: &Path,
    mounts: &mut [ResolvedMount],
) -> Result<(), Error> {
    for (mount, resolved) in spec.mounts.iter().zip(mounts) {
        let (Some(ownership), MountSource::Path(bind)) = (&mount.ownership, &mut resolved.source)
        else {
            continue;
        };
        if *ownership != Ownership::Give && !sys::is_superuser() {
            return Err(Error::IdmapOfUser { target: mount.target.clone() });
        }
        let user = || native::owner(rootfs, &spec.process.user);
        match ownership {
            Ownership::Map(map) => bind.ids = Some(map.clone()),
            Ownership::Swap => {
                let opened = bind.open().map_err(native::Error::from)?;
                let stat = rustix::fs::fstat(&opened).at("inspect", &bind.path)?;
                bind.ids = Some(IdMap::swap((stat.st_uid, stat.st_gid), user()?));
            }
            Ownership::Give => give(mount, bind, user()?)?,
        }
    }
    Ok(())
}

/// Directories that a host needs as they are.
const PROTECTED: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
    "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib",
    "/var/log",
];

fn give(mount: &Mount, bind: &Bind, (uid, gid): (u32, u32)) -> Result<(), Error> {
    // what a link leads to counts
    let opened = bind.open().map_err(native::Error::from)?;
    let real = sys::read_link(&resolve::path_of(&opened)).at("inspect", &bind.path)?;
    if PROTECTED.iter().any(|path| real == Path::new(path)) {
        return Err(Error::GiveSystem { path: real, target: mount.target.clone() });
    }
    own::give(&opened, uid, gid).map_err(|source| Error::Give {
        path: bind.path.clone(),
        uid,
        gid,
        source: source.into(),
    })
}
