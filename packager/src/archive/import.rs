//! Makes an image of a root file system.

use super::{Error, change, layer};
use crate::epoch;
use knarr_core::image::config::History;
use knarr_core::image::{ImageConfig, Platform, Reference};
use knarr_core::store::{Image, Store};
use std::io::Read;

#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Dockerfile instructions: `CMD ["app"]`.
    pub changes: Vec<String>,
    /// What the file system is for; this machine's platform if `None`.
    pub platform: Option<Platform>,
    /// For `knarr history`.
    pub message: Option<String>,
}

/// Makes a one-layer image of a tarball, which may be compressed.
pub fn import(
    store: &Store,
    tarball: &mut dyn Read,
    reference: Option<&Reference>,
    options: &ImportOptions,
) -> Result<Image, Error> {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let mut config = ImageConfig {
        created: Some(epoch::created()),
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant,
        history: vec![History {
            created: Some(epoch::created()),
            created_by: Some("knarr import".into()),
            comment: options.message.clone(),
            ..History::default()
        }],
        ..ImageConfig::default()
    };
    for change in &options.changes {
        change::apply(&mut config.config, change)?;
    }
    let _hold = store.hold_to_add()?;
    let descriptor = layer::single(store, tarball, config)?;
    match reference {
        Some(reference) => store.tag(reference, descriptor.clone())?,
        None => store.keep_dangling(descriptor.clone())?,
    }
    store.tell("import", &descriptor, None);
    if reference.is_some() {
        store.tell("tag", &descriptor, reference);
    }
    Ok(Image { reference: reference.cloned(), descriptor })
}
