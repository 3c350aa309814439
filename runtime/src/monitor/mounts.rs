//! From the mounts of a container's record to paths of the host.

use super::Error;
use crate::engine::{MountSource, ResolvedMount};
use crate::volume;
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, MountKind};
use std::collections::BTreeMap;
use std::path::Path;

/// Makes missing volumes and missing folders for `-v`.
pub(crate) fn resolve(root: &Root, spec: &ContainerSpec) -> Result<Vec<ResolvedMount>, Error> {
    let mut mounts = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let source = match &mount.kind {
            MountKind::Bind { source, create, propagation } => {
                if !source.exists() {
                    if !create {
                        let (path, target) = (source.clone(), mount.target.clone());
                        return Err(Error::MountSource { path, target });
                    }
                    fsx::create_dir_all(source)?;
                }
                MountSource::Path { path: source.clone(), propagation: propagation.clone() }
            }
            MountKind::Volume { name, anonymous, .. } => {
                volume::create(root, name, *anonymous, BTreeMap::new())?;
                MountSource::Path { path: volume::data(root, name)?, propagation: None }
            }
            MountKind::Tmpfs { size, mode, options } => {
                MountSource::Tmpfs { size: *size, mode: *mode, options: options.clone() }
            }
        };
        mounts.push(ResolvedMount {
            source,
            target: mount.target.clone(),
            read_only: mount.read_only,
        });
    }
    Ok(mounts)
}

/// Fills the volumes that are new with what the image has at their place.
pub(super) fn fill_volumes(root: &Root, spec: &ContainerSpec, rootfs: &Path) -> Result<(), Error> {
    for mount in &spec.mounts {
        if let MountKind::Volume { name, no_copy: false, .. } = &mount.kind {
            volume::copy_up(root, name, rootfs, &mount.target)?;
        }
    }
    Ok(())
}
