//! What joins the libraries: an image becomes a container.

pub mod agent;
pub mod build;
pub mod builtin;
pub mod compile;
pub mod compose;
pub mod create;
pub mod step;
pub mod variant;

use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::store::Usage;
use knarr_runtime::net::rootless;
use knarr_runtime::volume::{Backing, Volume};
use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The architecture as Go and images spell it.
pub fn host_architecture() -> String {
    knarr_core::image::Platform::host().architecture
}

pub fn is_superuser() -> bool {
    knarr_core::sys::is_superuser()
}

/// Tells of what a container that is about to start lacks.
pub fn warn_of_shortcomings(root: &Root, id: &ContainerId) {
    if is_superuser() {
        return;
    }
    // a record that cannot be read is an error of the start
    let network = knarr_runtime::state::load_spec(root, id).map(|spec| spec.network);
    if let Some(shortcoming) = network.ok().and_then(|mode| rootless::shortcoming(root, &mode)) {
        crate::ui::warning(shortcoming);
    }
}

/// What containers use, for the store's collector.
pub fn usages(
    root: &Root,
) -> impl Fn() -> Result<Vec<Usage>, Box<dyn Error + Send + Sync>> + use<'_> {
    move || Ok(knarr_runtime::container::usages(root)?)
}

/// Bytes that a tree takes on disk; what vanishes meanwhile takes none.
pub fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let inside = match metadata.is_dir() {
        true => fsx::list(path).unwrap_or_default(),
        false => Vec::new(),
    };
    metadata.blocks() * 512 + inside.iter().map(|name| size_of(&path.join(name))).sum::<u64>()
}

/// What removing a volume gives back. A directory of the host that a volume stands for is not Knarr's, and stays.
pub fn volume_size(root: &Root, volume: &Volume) -> u64 {
    match (volume.backing(), volume.data(root)) {
        (Ok(Backing::Directory(_)), _) | (_, Err(_)) => 0,
        (_, Ok(data)) => size_of(&data),
    }
}
