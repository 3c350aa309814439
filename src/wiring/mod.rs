//! What joins the libraries: an image becomes a container.

pub mod compile;
pub mod variant;

use knarr_core::root::Root;
use knarr_core::store::Usage;
use knarr_runtime::state;
use std::error::Error;

/// The architecture as Go and images spell it.
pub fn host_architecture() -> String {
    knarr_core::image::Platform::host().architecture
}

pub fn is_superuser() -> bool {
    knarr_core::sys::is_superuser()
}

/// What containers use, for the store's collector. A damaged record hides what its container uses: nothing may
/// be removed then.
pub fn usages(
    root: &Root,
) -> impl Fn() -> Result<Vec<Usage>, Box<dyn Error + Send + Sync>> + use<'_> {
    move || {
        let containers = state::all(root)?.into_iter().map(|container| match container {
            Ok(container) => Ok(Usage {
                container: container.state.name.clone(),
                manifest: container.spec.image.manifest.clone(),
                layers: container.spec.image.layers.clone(),
                running: container.state.is_alive(),
            }),
            Err(damaged) => Err(damaged.error),
        });
        Ok(containers.collect::<Result<Vec<_>, _>>()?)
    }
}
