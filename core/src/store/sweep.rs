//! What processes leave that die while they add content: half-unpacked layers, temporary files, partial downloads. Each is
//! locked by its owner, so whoever gets the lock may take it away: those who add content next do, and the collector.

use super::{Hold, Removed, Result, Store};
use crate::fsx::{self, Context};
use crate::lock::Lock;
use crate::sys;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

/// A download that nobody went on with for so long is given up.
const PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which downloads that broke off stay for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partials {
    /// Those younger than [`PARTIAL_AGE`].
    Recent,
    None,
}

impl Store {
    /// [`Self::hold`] for those who add content.
    pub fn hold_to_add(&self) -> Result<Hold> {
        let hold = self.hold()?;
        for tree in self.abandoned(Partials::Recent, &mut Vec::new())? {
            sys::remove_tree(&tree)?;
        }
        Ok(hold)
    }

    /// A file for content on its way, locked as long as it is open.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        let incoming = self.root.incoming();
        loop {
            let file = tempfile::Builder::new()
                .prefix(fsx::TEMPORARY)
                .tempfile_in(&incoming)
                .at("create a temporary file in", &incoming)?;
            file.as_file().lock().at("lock", file.path())?;
            // a sweep may have come in between
            if sys::is_same_file(file.as_file(), file.path())? {
                return Ok(file);
            }
        }
    }

    /// Takes away what dead processes left, and adds it to `removed`. Trees only lose their names; the caller deletes them,
    /// without a lock.
    pub(super) fn abandoned(
        &self,
        kept: Partials,
        removed: &mut Vec<Removed>,
    ) -> Result<Vec<PathBuf>> {
        let mut trees = Vec::new();
        for (layers, name) in self.everything_in_layers()? {
            let path = layers.join(&name);
            if name.contains(".removed-") {
                trees.push(path);
            } else if let Some((stem, _)) = name.split_once(".incomplete-") {
                let Some(_lock) = take(&path.join("lock"))? else { continue };
                let doomed = layers.join(format!("{stem}.removed-{}", sys::random_name()));
                match fsx::rename(&path, &doomed) {
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    other => other?,
                }
                removed.push(Removed::Leftover { bytes: sys::tree_size(&doomed)? });
                trees.push(doomed);
            } else if name.ends_with(".lock") {
                remove_if_free(&path, removed)?;
            }
        }
        let incoming = self.root.incoming();
        for name in fsx::list(&incoming)? {
            let path = incoming.join(&name);
            let is_kept = kept == Partials::Recent
                && !name.starts_with(fsx::TEMPORARY)
                && sys::age(&path)? <= PARTIAL_AGE;
            if !is_kept {
                remove_if_free(&path, removed)?;
            }
        }
        Ok(trees)
    }
}

/// The lock of a dead owner; `None` if the owner lives, or everything is gone.
fn take(path: &Path) -> Result<Option<Lock>> {
    match Lock::try_exclusive(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        other => Ok(other?),
    }
}

fn remove_if_free(path: &Path, removed: &mut Vec<Removed>) -> Result<()> {
    // not made anew if it is gone meanwhile
    if let Some(bytes) = fsx::size_optional(path)?
        && let Some(_lock) = take(path)?
    {
        fsx::remove_file(path)?;
        removed.push(Removed::Leftover { bytes });
    }
    Ok(())
}
