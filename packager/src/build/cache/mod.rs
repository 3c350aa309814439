//! What earlier builds resulted in.
//!
//! ```text
//! build-cache/steps/<key>.json      a step's result; the key is a digest of all that decides about it
//!             steps/<key>.lock      held by the build that is at it
//!             digests/<key>         digests of what was taken from layers, which never change
//!             blobs/<diff id>.json  what a layer is called once compressed
//!             contexts/<folder>.json  digests of the host's files
//!             mounts/<id>/          folders of `--mount=type=cache`
//!             downloads/            files that `ADD` fetched
//! ```
//!
//! Every file is replaced atomically, and losing one is only slow. A record is of use as long as its layer is in the store;
//! the store's collector keeps the layers of all records.

pub mod hashes;
pub mod mounts;
pub mod prune;
pub mod transfer;

use super::Error;
use crate::wasm::ModuleReport;
use knarr_core::fsx::{self, Context, Durability};
use knarr_core::image::{Descriptor, Digest, MediaType};
use knarr_core::lock::Lock;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_core::store::cached::CachedStep;
use knarr_core::sys;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;

/// The cache under one root.
#[derive(Debug, Clone)]
pub struct Cache {
    store: Store,
    root: Root,
}

/// The right to run a step; others that want the same one wait.
#[derive(Debug)]
pub struct Claim {
    lock: Lock,
    path: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // who opened it before waits on a file without a name, and looks again
        let _ = fsx::remove_file(&self.path);
        let _ = &self.lock;
    }
}

impl Cache {
    pub fn open(store: &Store) -> Result<Self, Error> {
        let root = store.root().clone();
        for name in ["steps", "digests", "blobs"] {
            match fsx::create_dir_all(&root.build_cache().join(name)) {
                // whoever only looks at the cache finds nothing
                Err(e) if e.is_read_only() => {}
                other => other?,
            }
        }
        Ok(Self { store: store.clone(), root })
    }

    fn step_path(&self, key: &Digest) -> PathBuf {
        self.root.build_steps().join(format!("{}.json", key.digest()))
    }

    /// The result of a step, if its layer is still there. Counts as a use.
    pub fn find(&self, key: &Digest) -> Result<Option<CachedStep>, Error> {
        let path = self.step_path(key);
        let step = match record::read::<CachedStep>(&path) {
            Ok(Some(step)) => step,
            // a damaged record, or a newer one, is a step to run again
            Ok(None) | Err(record::Error::Malformed { .. } | record::Error::Newer { .. }) => {
                return Ok(None);
            }
            Err(e) => return Err(e.into()),
        };
        if !self.store.has_layer(&step.chain) {
            return Ok(None);
        }
        if let Ok(file) = fsx::open(&path) {
            // on a read-only disk the order of use is not worth a failure
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(Some(step))
    }

    /// Waits until nobody else runs the step.
    pub fn claim(&self, key: &Digest) -> Result<Claim, Error> {
        let path = self.root.build_steps().join(format!("{}.lock", key.digest()));
        loop {
            let lock = Lock::exclusive(&path)?;
            if sys::is_same_file(lock.file(), &path)? {
                return Ok(Claim { lock, path });
            }
        }
    }

    pub fn put(&self, key: &Digest, step: &CachedStep) -> Result<(), Error> {
        Ok(record::write(&self.step_path(key), step, Durability::Process)?)
    }

    /// A digest that depends on nothing but layers.
    pub fn digest(
        &self,
        key: &Digest,
        compute: impl FnOnce() -> Result<Digest, Error>,
    ) -> Result<Digest, Error> {
        let path = self.root.build_cache().join("digests").join(key.digest());
        if let Some(bytes) = fsx::read_optional(&path)?
            && let Some(digest) = String::from_utf8(bytes).ok().and_then(|text| text.parse().ok())
        {
            return Ok(digest);
        }
        let digest = compute()?;
        fsx::replace(&path, digest.to_string().as_bytes(), Durability::Process)?;
        Ok(digest)
    }

    /// What is known of a Wasm module, by the digest of its content.
    pub fn report(
        &self,
        key: &Digest,
        inspect: impl FnOnce() -> Result<ModuleReport, Error>,
    ) -> Result<ModuleReport, Error> {
        let path = self.root.build_cache().join("digests").join(key.digest());
        let known = fsx::read_optional(&path)?;
        if let Some(report) = known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(report);
        }
        let report = inspect()?;
        let bytes = serde_json::to_vec(&report)
            .map_err(|source| Error::Malformed { what: "a record of the cache".into(), source })?;
        fsx::replace(&path, &bytes, Durability::Process)?;
        Ok(report)
    }

    fn blob_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.build_cache().join("blobs").join(format!("{}.json", diff_id.digest()))
    }

    /// The compressed form of a layer that was built, if it is in the store.
    pub fn blob(&self, diff_id: &Digest) -> Result<Option<Descriptor>, Error> {
        let Some(bytes) = fsx::read_optional(&self.blob_path(diff_id))? else { return Ok(None) };
        let Ok(blob) = serde_json::from_slice::<Blob>(&bytes) else { return Ok(None) };
        let Ok(digest) = blob.digest.parse::<Digest>() else { return Ok(None) };
        Ok(self
            .store
            .has(&digest)
            .then(|| Descriptor::new(MediaType::from(blob.media_type.as_str()), blob.size, digest)))
    }

    pub fn put_blob(&self, diff_id: &Digest, blob: &Descriptor) -> Result<(), Error> {
        let record = Blob {
            digest: blob.digest().to_string(),
            size: blob.size(),
            media_type: blob.media_type().to_string(),
        };
        let bytes = serde_json::to_vec(&record)
            .map_err(|source| Error::Malformed { what: "a record of the cache".into(), source })?;
        Ok(fsx::replace(&self.blob_path(diff_id), &bytes, Durability::Process)?)
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[derive(Serialize, Deserialize)]
struct Blob {
    digest: String,
    size: u64,
    media_type: String,
}

/// When a record was used last.
fn last_use(path: &std::path::Path) -> Result<SystemTime, Error> {
    let metadata = path.symlink_metadata().at("inspect", path)?;
    Ok(metadata.modified().at("inspect", path)?)
}
