//! `--volumes-from`: the mounts of other containers.

use super::options::{self, parse_volumes_from};
use super::{Result, find};
use crate::state;
use knarr_core::spec::{Mount, MountKind, Origin};
use knarr_core::store::Store;

/// What each `CONTAINER[:ro]` has mounted, in order. Memory stays each container's own.
pub fn volumes_from(store: &Store, texts: &[String]) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for text in texts {
        let (container, read_only) = parse_volumes_from(text).map_err(options::Error::from)?;
        let spec = state::load_spec(store.root(), &find(store, container)?)?;
        let shared = spec.mounts.into_iter().filter(|m| !matches!(m.kind, MountKind::Tmpfs { .. }));
        mounts.extend(shared.map(|m| {
            let (read_only, origin) = (m.read_only || read_only, Origin::Other);
            Mount { read_only, origin, ..m }
        }));
    }
    Ok(mounts)
}
