//! The room that images take, each content once however many images share it.

use super::{Image, Result, Store};
use crate::fsx;
use crate::image::Digest;
use crate::sys;
use std::collections::{HashMap, HashSet};

/// Blobs, by their length, and unpacked layers (by chain id), by the length of their files: as a prune counts what it
/// removes ([`super::Removed::bytes`]).
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    blobs: HashMap<Digest, u64>,
    layers: HashMap<Digest, u64>,
}

impl Footprint {
    /// Adds what of an image is here; of all its variants, or of those that are wanted. What is not here takes no room.
    pub fn add(
        &mut self,
        store: &Store,
        image: &Image,
        wanted: impl Fn(&Digest) -> bool,
    ) -> Result<()> {
        self.add_blob(store, image.id())?;
        store.walk(&image.descriptor, &mut |descriptor, manifest| {
            let Some(manifest) = manifest.filter(|_| wanted(descriptor.digest())) else {
                return Ok(());
            };
            self.add_blob(store, descriptor.digest())?;
            for blob in manifest.layers().iter().chain([manifest.config()]) {
                self.add_blob(store, blob.digest())?;
            }
            let Ok(config) = store.config(manifest) else { return Ok(()) };
            let Ok(unpacker) = store.unpacker(manifest, &config) else { return Ok(()) };
            unpacker.chains().into_iter().try_for_each(|chain| self.add_layer(store, chain))
        })
    }

    fn add_blob(&mut self, store: &Store, digest: &Digest) -> Result<()> {
        if let Some(bytes) = fsx::size_optional(&store.blob_path(digest))? {
            self.blobs.insert(digest.clone(), bytes);
        }
        Ok(())
    }

    fn add_layer(&mut self, store: &Store, chain: Digest) -> Result<()> {
        if let Some(info) = store.layer_info(&chain)? {
            self.layers.insert(chain, info.size);
        }
        Ok(())
    }

    pub fn bytes(&self) -> u64 {
        self.blobs.values().chain(self.layers.values()).sum()
    }
}

impl Store {
    /// The room that everything in the store takes, but for the layers of the build cache alone.
    pub fn bytes(&self, of_images: &HashSet<Digest>) -> Result<u64> {
        let mut total = 0;
        let blobs = self.root.blobs();
        let algorithms = blobs.parent().unwrap_or(&blobs);
        for algorithm in fsx::list(algorithms)? {
            let folder = algorithms.join(algorithm);
            for name in fsx::list(&folder)? {
                total += fsx::size_optional(&folder.join(name))?.unwrap_or(0);
            }
        }
        for name in fsx::list(&self.root.incoming())? {
            total += fsx::size_optional(&self.root.incoming().join(name))?.unwrap_or(0);
        }
        let cached: HashSet<Digest> = self.cached_layers()?.into_iter().collect();
        for (folder, name) in self.everything_in_layers()? {
            let chain = ["sha256", "sha512"].map(|a| format!("{a}:{name}").parse::<Digest>());
            total += match chain.into_iter().find_map(std::result::Result::ok) {
                Some(chain) if cached.contains(&chain) && !of_images.contains(&chain) => 0,
                Some(chain) => self.layer_info(&chain)?.map_or(0, |info| info.size),
                None => sys::tree_size(&folder.join(name))?,
            };
        }
        Ok(total)
    }

    /// When an image came into the store, in seconds since 1970; `None` if it is gone.
    pub fn arrived(&self, image: &Image) -> Option<i64> {
        let changed = self.blob_path(image.id()).metadata().ok()?.modified().ok()?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    }
}
