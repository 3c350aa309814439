//! `rename`: gives a container another name.

use super::Result;
use crate::{net, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

pub fn rename(store: &Store, id: &ContainerId, name: &str) -> Result<()> {
    // Docker shows names with a slash before them
    let name = name.strip_prefix('/').unwrap_or(name);
    let root = store.root();
    let before = state::load(root, id)?;
    state::rename(root, id, name)?;
    net::rename(root, id, name)?;
    let old = format!("/{}", before.state.name);
    state::tell(root, &before.spec, "rename", &[("oldName", old)]);
    Ok(())
}
