//! `rename`: gives a container another name.

use super::Result;
use crate::{net, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

pub fn rename(store: &Store, id: &ContainerId, name: &str) -> Result<()> {
    // Docker shows names with a slash before them
    let name = name.strip_prefix('/').unwrap_or(name);
    state::rename(store.root(), id, name)?;
    Ok(net::rename(store.root(), id, name)?)
}
