//! Where a module of the container really lies: files of a layer never change and need not be hashed again.

use super::locate::Found;
use crate::engine::Launch;
use knarr_core::store::Store;
use knarr_core::store::snapshot::{Snapshot, locate};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The metadata of the layer's file that the module is; `None` if it lies in the container's own files or in a
/// volume, or if that cannot be told.
pub(super) fn in_layer(launch: &Launch<'_>, found: &Found) -> Option<Metadata> {
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
    let metadata = in_layer.then(|| std::fs::symlink_metadata(path).ok())??;
    // an overlay shows a layer's file with the file's own size and times; a volume on top is another file
    let seen = found.file.metadata().ok()?;
    let traits =
        |m: &Metadata| (m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), m.mode());
    (traits(&metadata) == traits(&seen)).then_some(metadata)
}
