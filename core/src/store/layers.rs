//! Unpacked layers, one folder for each chain id, shared by all images and containers.
//!
//! A layer is unpacked into a folder of its own name that ends in `.incomplete-…`, is verified, and gets its
//! final name last. Two marks make the unfinished ones safe: their folder is locked while somebody works on
//! it, so an unlocked one is a leftover ([`super::gc`] sweeps it), and `layers/<hex>.lock` keeps two processes
//! from doing the same work. Losing the race for that lock is only slow, never wrong.
//!
//! Files are not synced one by one. A layer that may not be on disk yet has a mark with this boot's id in it: as
//! long as the machine runs the page cache has the rest, and after a power cut the layer is unpacked again. One
//! syncfs(2) at the end of an image takes the marks away; measured, it adds a third to the time of unpacking.

use super::layer::{LayerInfo, UNSYNCED, chain_ids, is_lost};
use super::unpack::{self, Unpacked};
use super::{Error, Result, Store, artifact};
use crate::fsx::{self, Durability};
use crate::image::{Descriptor, Digest, ImageConfig, ImageManifest};
use crate::lock::Lock;
use crate::record;
use crate::sys;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use super::unpack::Error as UnpackError;

/// More threads than this wait for the same disk.
const PARALLEL_LAYERS: usize = 4;

/// What overlayfs mounts (Linux: `OVL_MAX_STACK`).
const LAYER_LIMIT: usize = 500;

impl Store {
    /// Makes all layers of a variant ready, several at a time, and returns their chain ids, bottom first.
    /// Costs one look for each layer that is ready already.
    pub fn unpack(&self, manifest: &ImageManifest, config: &ImageConfig) -> Result<Vec<Digest>> {
        self.unpack_after(manifest, config, || {})
    }

    /// [`Self::unpack`] that does something before, if there is anything to unpack.
    pub fn unpack_after(
        &self,
        manifest: &ImageManifest,
        config: &ImageConfig,
        prepare: impl FnOnce(),
    ) -> Result<Vec<Digest>> {
        let unpacker = self.unpacker(manifest, config)?;
        let missing = |unpacker: &LayerUnpacker| -> Vec<usize> {
            (0..unpacker.layers.len()).filter(|at| !unpacker.is_present(*at)).collect()
        };
        if missing(&unpacker).is_empty() {
            return Ok(unpacker.chains());
        }
        prepare();
        let missing = missing(&unpacker);
        let _hold = self.hold_to_add()?;
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            while let Some(layer) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(e) = unpacker.layer(*layer) {
                    failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
                    next.store(missing.len(), Ordering::Relaxed);
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..threads.min(PARALLEL_LAYERS).min(missing.len()) {
                scope.spawn(work);
            }
            work();
        });
        match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(e) => Err(e),
            None => unpacker.finish(),
        }
    }

    /// Brings layers that may not be on disk yet there; without it a power cut takes them away.
    pub fn sync_layers<'a>(&self, chains: impl Iterator<Item = &'a Digest>) -> Result<()> {
        let marks: Vec<PathBuf> = chains
            .map(|chain| self.layer_folder(chain).join(UNSYNCED))
            .filter(|mark| mark.exists())
            .collect();
        if !marks.is_empty() {
            sys::sync_file_system(&self.layers())?;
        }
        for mark in marks {
            fsx::remove_file(&mark)?;
        }
        Ok(())
    }

    /// Takes away what a power cut left of a layer that was not on disk yet.
    pub(super) fn remove_lost(&self, chain: &Digest) -> Result<()> {
        let folder = self.layer_folder(chain);
        if !folder.exists() || !is_lost(&folder) {
            return Ok(());
        }
        let doomed = folder.with_extension(format!("removed-{}", sys::random_name()));
        fsx::rename(&folder, &doomed)?;
        Ok(sys::remove_tree(&doomed)?)
    }

    /// Unpacks the layers of a variant one by one, as their blobs arrive.
    pub fn unpacker(
        &self,
        manifest: &ImageManifest,
        config: &ImageConfig,
    ) -> Result<LayerUnpacker> {
        let diff_ids = config
            .rootfs
            .diff_ids
            .iter()
            .map(|text| text.parse().map_err(|_| Error::InvalidDiffId { text: text.clone() }))
            .collect::<Result<Vec<Digest>>>()?;
        let layers = manifest.layers();
        if layers.len() != diff_ids.len() {
            return Err(Error::LayerCount { layers: layers.len(), diff_ids: diff_ids.len() });
        }
        if layers.len() > LAYER_LIMIT {
            return Err(Error::TooManyLayers { layers: layers.len(), limit: LAYER_LIMIT });
        }
        let layers = chain_ids(&diff_ids)
            .into_iter()
            .zip(diff_ids)
            .zip(layers)
            .map(|((chain, diff_id), blob)| Layer { chain, diff_id, blob: blob.clone() })
            .collect();
        Ok(LayerUnpacker { store: self.clone(), layers, waiting: Mutex::new(Vec::new()) })
    }

    /// Bytes of all layers of a variant; `None` unless all are unpacked.
    pub(super) fn unpacked_size(
        &self,
        manifest: &ImageManifest,
        config: &ImageConfig,
    ) -> Result<Option<u64>> {
        let mut total = 0;
        for chain in self.unpacker(manifest, config)?.chains() {
            let Some(info) = self.layer_info(&chain)? else { return Ok(None) };
            total += info.size;
        }
        Ok(Some(total))
    }
}

#[derive(Debug)]
struct Layer {
    chain: Digest,
    diff_id: Digest,
    blob: Descriptor,
}

/// Unpacks the layers of one variant as their blobs arrive: in any order, from any threads.
///
/// A layer may need the ones below it: for the attributes of directories that its archive leaves out, and for
/// hard links to files that it does not hold. Such a layer gets its final name in [`Self::finish`].
#[derive(Debug)]
pub struct LayerUnpacker {
    store: Store,
    layers: Vec<Layer>,
    waiting: Mutex<Vec<(usize, Unfinished, Unpacked)>>,
}

impl LayerUnpacker {
    /// The chain ids, bottom first.
    pub fn chains(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.chain.clone()).collect()
    }

    /// Whether a layer (0 = bottom) is ready. Its blob is still needed to push or save the image.
    pub fn is_present(&self, layer: usize) -> bool {
        self.store.has_layer(&self.layers[layer].chain)
    }

    /// Unpacks a layer whose blob is in the store, and verifies its diff id; waits for another process that
    /// does the same. The caller has a [`Store::hold`].
    pub fn layer(&self, at: usize) -> Result<()> {
        let layer = &self.layers[at];
        let folder = self.store.layer_folder(&layer.chain);
        if self.is_present(at) {
            return Ok(());
        }
        // of a store that was laid out before the user had others
        sys::create_private_dir_all(&self.store.layers())?;
        let work_lock = folder.with_extension("lock");
        let _work = Lock::exclusive(&work_lock)?;
        if self.is_present(at) {
            // whoever opened this file last removes it; a later one is a new file, which is only slow
            return Ok(fsx::remove_file(&work_lock)?);
        }
        self.store.remove_lost(&layer.chain)?;
        let unfinished = Unfinished::create(&self.store, layer.chain.digest())?;
        let unpacked = self.extract(layer, &unfinished, at == 0)?;
        if at > 0 && unpacked.needs_layers_below() {
            let mut waiting = self.waiting.lock().unwrap_or_else(|e| e.into_inner());
            waiting.push((at, unfinished, unpacked));
            return Ok(());
        }
        unfinished.complete(&folder, &unpacked.info)?;
        Ok(fsx::remove_file(&work_lock)?)
    }

    /// Gives the layers that waited for the ones below their final names, unpacks those for which
    /// [`Self::layer`] was not called, and returns all chain ids, bottom first.
    pub fn finish(self) -> Result<Vec<Digest>> {
        let waiting = self.waiting.lock().unwrap_or_else(|e| e.into_inner()).split_off(0);
        let mut waiting: std::collections::BTreeMap<usize, _> = waiting
            .into_iter()
            .map(|(at, unfinished, unpacked)| (at, (unfinished, unpacked)))
            .collect();
        for at in 0..self.layers.len() {
            if !waiting.contains_key(&at) {
                self.layer(at)?;
                waiting.extend(
                    self.waiting
                        .lock()
                        .unwrap_or_else(|e| e.into_inner())
                        .drain(..)
                        .map(|(at, unfinished, unpacked)| (at, (unfinished, unpacked))),
                );
            }
            if let Some((unfinished, unpacked)) = waiting.remove(&at) {
                let below: Vec<PathBuf> = self.layers[..at]
                    .iter()
                    .rev()
                    .map(|l| self.store.layer_path(&l.chain))
                    .collect();
                let digest = self.layers[at].blob.digest();
                unpack::settle(&unfinished.tree(), &unpacked, &below)
                    .map_err(|e| Error::Unpack { digest: digest.clone(), source: e.into() })?;
                let folder = self.store.layer_folder(&self.layers[at].chain);
                unfinished.complete(&folder, &unpacked.info)?;
                fsx::remove_file(&folder.with_extension("lock"))?;
            }
        }
        self.sync()?;
        Ok(self.chains())
    }

    /// Brings the layers that may not be on disk yet there.
    fn sync(&self) -> Result<()> {
        self.store.sync_layers(self.layers.iter().map(|layer| &layer.chain))
    }

    fn extract(&self, layer: &Layer, into: &Unfinished, bottom: bool) -> Result<Unpacked> {
        let blob = self.store.open_blob(layer.blob.digest())?;
        let failed = |e: UnpackError| Error::Unpack {
            digest: layer.blob.digest().clone(),
            source: e.into(),
        };
        let options = unpack::Options {
            limit: self.store.layer_limit,
            superuser: sys::is_superuser(),
            bottom,
        };
        if artifact::is_module(&layer.blob) {
            let name = artifact::module_name(&layer.blob);
            let (found, size) =
                unpack::module(blob, &into.tree(), &name, layer.blob.digest(), &options)
                    .map_err(failed)?;
            if found != *layer.blob.digest() {
                return Err(Error::DigestMismatch { expected: layer.blob.digest().clone(), found });
            }
            return Ok(Unpacked::module(layer.diff_id.clone(), size));
        }
        let media_type = layer.blob.media_type().to_string();
        if crate::image::media_type::layer_kind(&media_type).is_none() {
            let digest = layer.blob.digest().clone();
            return Err(Error::UnknownLayer { digest, media_type });
        }
        let unpacked =
            unpack::archive(blob, &into.tree(), &layer.diff_id, &options).map_err(failed)?;
        if unpacked.info.diff_id != layer.diff_id {
            return Err(Error::DiffIdMismatch {
                expected: layer.diff_id.clone(),
                found: unpacked.info.diff_id,
            });
        }
        Ok(unpacked)
    }
}

/// A layer's folder before it is complete; removed unless it becomes so.
#[derive(Debug)]
pub(super) struct Unfinished {
    folder: PathBuf,
    /// Held for as long as the folder is worked on: who gets it may sweep.
    lock: Option<Lock>,
}

impl Unfinished {
    pub(super) fn create(store: &Store, stem: &str) -> Result<Self> {
        loop {
            let name = format!("{stem}.incomplete-{}", sys::random_name());
            let folder = store.layers().join(name);
            sys::create_private_dir_all(&folder)?;
            let path = folder.join("lock");
            let lock = match Lock::exclusive(&path) {
                Ok(lock) => lock,
                // a sweep came in between
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e.into()),
            };
            if sys::is_same_file(lock.file(), &path)? {
                let unfinished = Self { folder, lock: Some(lock) };
                fsx::create_dir(&unfinished.tree())?;
                return Ok(unfinished);
            }
        }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("fs")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what else a build step had in the folder.
    pub(super) fn keep_only_tree(&self) -> Result<()> {
        for name in fsx::list(&self.folder)? {
            if name != "fs" && name != "lock" {
                sys::remove_tree(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    pub(super) fn complete(mut self, folder: &Path, info: &LayerInfo) -> Result<()> {
        record::write(&self.folder.join("layer.json"), info, Durability::Process)
            .map_err(Error::Layer)?;
        fsx::write(&self.folder.join(UNSYNCED), sys::boot_id())?;
        fsx::remove_file(&self.folder.join("lock"))?;
        match sys::rename_new(&self.folder, folder) {
            Ok(()) => {
                self.lock = None;
                Ok(())
            }
            // another process was faster, and has the same content: ours is removed
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // what cannot be removed now is swept later
            let _ = sys::remove_tree(&self.folder);
        }
    }
}
