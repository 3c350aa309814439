//! `export`: the root file system as a tar archive, without volumes.

use super::Result;
use super::view::View;
use crate::state;
use knarr_core::id::ContainerId;
use knarr_core::store::{self, Store};
use std::io::Write;

pub fn export(store: &Store, id: &ContainerId, out: &mut dyn Write) -> Result<()> {
    let view = View::without_mounts(store, id)?;
    store::export(&view.path(), out)?;
    state::tell(store.root(), &state::load_spec(store.root(), id)?, "export", &[]);
    Ok(())
}
