//! `commit`: what a container has changed, for an image.

use super::diff::diff;
use super::{Error, Result, export, pause, unpause};
use crate::state::{self, Container, Status};
use crate::{monitor, reconcile};
use knarr_core::id::ContainerId;
use knarr_core::store::{self, Image, Store};
use std::io::Write;
use std::path::PathBuf;

/// A container's files.
#[derive(Debug)]
pub struct Files<'a> {
    store: &'a Store,
    id: &'a ContainerId,
    upper: PathBuf,
    /// They lie apart from the image's: this host takes overlays.
    pub apart: bool,
}

impl Files<'_> {
    /// Whether any differ from the image's.
    pub fn have_changed(&self) -> Result<bool> {
        Ok(!diff(self.store, self.id)?.is_empty())
    }

    /// Writes what differs as a layer.
    pub fn write_changes(&self, out: &mut dyn Write) -> Result<()> {
        Ok(store::export_changes(&self.upper, out)?)
    }

    /// Writes all of them.
    pub fn write_all(&self, out: &mut dyn Write) -> Result<()> {
        export(self.store, self.id, out)
    }
}

/// Has an image made of a container, which is paused meanwhile if that is wanted and it runs. `message` is for those who
/// follow.
pub fn commit<E: From<Error>>(
    store: &Store,
    id: &ContainerId,
    (pauses, message): (bool, Option<&str>),
    make: impl FnOnce(&Container, &Files) -> Result<Image, E>,
) -> Result<Image, E> {
    let root = store.root();
    let container = reconcile::container(root, id).map_err(Error::from)?;
    let gone = || Error::from(state::Error::Gone { id: id.clone() });
    let container = container.ok_or_else(gone)?;
    let paused = pauses && container.state.status == Status::Running;
    if paused {
        match pause(store, id) {
            // it has ended by itself
            Ok(()) | Err(Error::NotRunning { .. } | Error::Restarting { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let snapshot = monitor::snapshot_of(store, &container.spec);
    let files = Files { store, id, apart: snapshot.is_apart(), upper: snapshot.upper };
    let made = make(&container, &files);
    if paused {
        match unpause(store, id) {
            Ok(()) | Err(Error::NotRunning { .. } | Error::Restarting { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let image = made?;
    let name = image.reference.as_ref().map(ToString::to_string).unwrap_or_default();
    let more = [
        ("comment", message.unwrap_or_default().to_owned()),
        ("imageID", image.id().to_string()),
        ("imageRef", name),
    ];
    state::tell(root, &container.spec, "commit", &more);
    Ok(image)
}
