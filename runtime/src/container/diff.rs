//! `diff`: what a container has changed of its image's files.

use super::Result;
use crate::{monitor, reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_core::store::changes::{self, Change};

/// Sorted by path; what is mounted in the container is not the image's.
pub fn diff(store: &Store, id: &ContainerId) -> Result<Vec<Change>> {
    let Some(container) = reconcile::container(store.root(), id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    Ok(changes::changes(&monitor::snapshot_of(store, &container.spec))?)
}
