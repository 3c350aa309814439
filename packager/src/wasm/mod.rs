//! Packs a Wasm module into an image that Docker, containerd and Podman can move: a normal one-layer image of
//! platform `wasi/wasm` whose entrypoint is the module.

mod artifact;
mod inspect;

pub use artifact::{Artifact, write_artifact};
pub use inspect::{InvalidModule, Kind, ModuleReport, Producer, Wasi, inspect, is_wasm};

use crate::archive::layer;
use crate::epoch;
#[cfg(doc)]
use crate::index;
use knarr_core::image::config::{ExecutionConfig, History};
use knarr_core::image::{Descriptor, ImageConfig, Reference};
use knarr_core::store::{Image, Store};

pub use crate::archive::Error;

/// What an image made of one module says of itself.
#[derive(Debug, Clone, Default)]
pub struct ModuleImage {
    /// The module's file name in the root directory, `app.wasm` if empty.
    pub file_name: String,
    /// Everything but the entrypoint, which is the module unless one is given.
    pub config: ExecutionConfig,
    /// What made it, for `knarr history`.
    pub created_by: String,
}

/// Writes the manifest of an image with one module, and returns its descriptor (with its platform), for
/// [`index::combine`] or [`Store::tag`]. The same module gives the same digest.
pub fn manifest_of_module(
    store: &Store,
    module: &[u8],
    image: &ModuleImage,
) -> Result<Descriptor, Error> {
    let file_name = match image.file_name.as_str() {
        "" => "app.wasm",
        name => name,
    };
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o755);
    header.set_size(module.len() as u64);
    header.set_mtime(0);
    let write = |source| Error::Write { what: "the layer of the module", source };
    tar.append_data(&mut header, file_name, module).map_err(write)?;
    let tar = tar.into_inner().map_err(write)?;
    let mut config = ImageConfig {
        created: Some(epoch::created()),
        os: "wasi".into(),
        architecture: "wasm".into(),
        config: image.config.clone(),
        history: vec![History {
            created: Some(epoch::created()),
            created_by: Some(match image.created_by.as_str() {
                "" => format!("COPY {file_name} /{file_name}"),
                text => text.to_owned(),
            }),
            ..History::default()
        }],
        ..ImageConfig::default()
    };
    if config.config.entrypoint.is_none() {
        config.config.entrypoint = Some(vec![format!("/{file_name}")]);
    }
    layer::single(store, &mut &tar[..], config)
}

/// [`manifest_of_module`], named.
pub fn image_of_module(
    store: &Store,
    module: &[u8],
    reference: &Reference,
    image: &ModuleImage,
) -> Result<Image, Error> {
    let _hold = store.hold()?;
    let descriptor = manifest_of_module(store, module, image)?;
    store.tag(reference, descriptor.clone())?;
    Ok(Image { reference: Some(reference.clone()), descriptor })
}
