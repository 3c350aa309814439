//! `commit`: an image with a further layer.

use super::{Error, change, layer};
use crate::epoch;
use flate2::write::GzEncoder;
use knarr_core::image::config::{History, RootFs};
use knarr_core::image::{Descriptor, ImageConfig, ImageManifest, MediaType, Reference};
use knarr_core::store::{Image, Store};
use std::io::Write;

/// What becomes an image.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The image below; `None`: the layer is all that there is.
    pub below: Option<&'a ImageManifest>,
    /// The image's configuration, with the history of what is below.
    pub config: ImageConfig,
    /// Dockerfile instructions that alter it.
    pub changes: &'a [String],
    pub author: Option<String>,
    pub message: Option<String>,
    /// What made the layer.
    pub created_by: String,
    pub reference: Option<&'a Reference>,
}

/// Makes the image. `write` writes the layer as a tar archive; without it there is none.
pub fn commit<E: From<Error>>(
    store: &Store,
    commit: Commit,
    write: Option<impl FnOnce(&mut dyn Write) -> Result<(), E>>,
) -> Result<Image, E> {
    let Commit { below, mut config, changes, author, message, created_by, reference } = commit;
    for text in changes {
        change::apply(&mut config.config, text).map_err(Error::from)?;
    }
    let _hold = store.hold_to_add().map_err(Error::from)?;
    let mut layers: Vec<Descriptor> = below.map(|below| below.layers().clone()).unwrap_or_default();
    if below.is_none() {
        (config.rootfs, config.history) = (RootFs::default(), Vec::new());
    }
    let empty_layer = write.is_none();
    if let Some(write) = write {
        let staged = store.stage().map_err(Error::from)?;
        let mut out = GzEncoder::new(staged, flate2::Compression::fast());
        write(&mut out)?;
        let written = |source| Error::Write { what: "the layer", source };
        let staged = out.finish().map_err(written)?;
        let diff_id = layer::diff_id(store, &staged, false)?;
        let (digest, size) = staged.finish().map_err(Error::from)?;
        layers.push(Descriptor::new(MediaType::ImageLayerGzip, size, digest));
        config.rootfs.diff_ids.push(diff_id.to_string());
    }
    // what a container has changed is no function of a source
    let created = Some(epoch::now());
    config.history.push(History {
        created: created.clone(),
        author: author.clone(),
        created_by: Some(created_by),
        comment: message,
        empty_layer,
    });
    (config.created, config.author) = (created, author);
    let descriptor = layer::manifest(store, config, layers)?;
    match reference {
        Some(reference) => store.tag(reference, descriptor.clone()).map_err(Error::from)?,
        None => store.keep_dangling(descriptor.clone()).map_err(Error::from)?,
    }
    store.tell("create", &descriptor, None);
    if reference.is_some() {
        store.tell("tag", &descriptor, reference);
    }
    Ok(Image { reference: reference.cloned(), descriptor })
}
