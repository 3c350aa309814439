//! `restart`: stop, then start; what the container changed in its root file system stays.

use super::stop::{Stop, stop};
use super::{Result, start};
use crate::state;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

pub fn restart(store: &Store, id: &ContainerId, options: &Stop) -> Result<()> {
    stop(store, id, options)?;
    start(store, id)?;
    let root = store.root();
    state::tell(root, &state::load_spec(root, id)?, "restart", &[]);
    Ok(())
}
