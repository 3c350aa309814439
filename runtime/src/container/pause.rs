//! `pause` and `unpause`: stop every process of a container where it stands, and let it go on.

use super::{Error, Result};
use crate::monitor::{self, client::Connection, client::Request};
use crate::{reconcile, state};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

pub fn pause(store: &Store, id: &ContainerId) -> Result<()> {
    order(store, id, &Request::Pause)
}

pub fn unpause(store: &Store, id: &ContainerId) -> Result<()> {
    order(store, id, &Request::Resume)
}

fn order(store: &Store, id: &ContainerId, request: &Request) -> Result<()> {
    let Some(container) = reconcile::container(store.root(), id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    match Connection::open(store.root(), id).and_then(|mut c| c.order(request)) {
        Err(monitor::Error::NotRunning { .. }) => Err(Error::not_running(&container.state)),
        result => Ok(result?),
    }
}
