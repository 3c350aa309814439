//! Where a module of the container really lies: files of a layer never change and need not be hashed again.

use super::locate::Found;
use crate::engine::Launch;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_core::store::snapshot::{Snapshot, locate};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file of a layer.
pub(super) struct Origin {
    /// The layer's folder under `layers/`.
    pub layer: String,
    pub metadata: Metadata,
}

impl Origin {
    /// Files in `layers/` never change; nobody else may be trusted for that.
    pub fn of(root: &Root, path: &Path, metadata: Metadata) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let layers = [root.layers(), root.mapped_layers()].map(std::path::absolute);
        let below = layers.iter().flatten().find_map(|layers| path.strip_prefix(layers).ok())?;
        let layer = below.components().next()?;
        Some(Self { layer: layer.as_os_str().to_str()?.to_owned(), metadata })
    }
}

/// The file that the module is; `None` if it lies in the container's own files or in a volume, or if that cannot be told.
pub(super) fn in_layer(launch: &Launch<'_>, found: &Found) -> Option<Origin> {
    let layers = &launch.spec.image.layers;
    if layers.is_empty() {
        return None;
    }
    let store = Store::open(launch.root).ok()?;
    let paths = launch.root.container(&launch.spec.id);
    let snapshot = Snapshot {
        lower: layers.iter().rev().map(|chain| store.layer_path(chain)).collect(),
        upper: paths.upper(),
        work: paths.work(),
        target: paths.rootfs(),
    };
    let (path, in_layer) = locate(&snapshot, Path::new(&found.path))?;
    let metadata = in_layer.then(|| std::fs::symlink_metadata(&path).ok())??;
    // an overlay shows a layer's file with the file's own size and times; a volume on top is another file
    let seen = found.file.metadata().ok()?;
    let traits =
        |m: &Metadata| (m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), m.mode());
    if traits(&metadata) != traits(&seen) {
        return None;
    }
    Origin::of(launch.root, &path, metadata)
}
