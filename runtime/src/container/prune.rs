//! `container prune`: deletes containers that do not run.

use super::Result;
use super::list::{Filters, ListOptions, Summary, list};
use super::remove::{Remove, remove};
use crate::reconcile;
use crate::state::Status;
use knarr_core::store::Store;

/// What would be deleted; to be shown before asking.
pub fn candidates(store: &Store, filters: &Filters) -> Result<Vec<Summary>> {
    let options = ListOptions { all: true, size: true, ..Default::default() };
    let mut found = list(store, filters, &options)?.containers;
    let is_left = |c: &Summary| match c.status {
        Status::Created => c.for_run && reconcile::is_awaited(store.root(), &c.name),
        Status::Exited => false,
        _ => true,
    };
    found.retain(|c| !is_left(c));
    Ok(found)
}

/// Deletes those; what was started meanwhile is kept. Returns what was deleted, and the first error after all were
/// tried.
pub fn prune(store: &Store, candidates: Vec<Summary>) -> (Vec<Summary>, Result<()>) {
    let mut result = Ok(());
    let mut removed = Vec::new();
    for candidate in candidates {
        match remove(store, &candidate.id, Remove::default()) {
            Ok(()) => removed.push(candidate),
            Err(super::Error::Running { .. }) => {}
            Err(e) if result.is_ok() => result = Err(e),
            Err(_) => {}
        }
    }
    (removed, result)
}
