//! Where an unpacked layer is, and what is known of it.
//!
//! A layer whose files have the owners that an ordinary user's namespace gives them is another one than that whose files are all
//! of one user. Which of them there can be may change with the user's subordinate ids: each has its own folder.

use super::{Error, Result, Store, digest_of};
use crate::fsx;
use crate::image::Digest;
use crate::record::{self, Record};
use crate::sys::{self, Owners};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// In a layer's folder: the boot during which it was unpacked, until it is known to be on disk.
pub(super) const UNSYNCED: &str = "unsynced";

/// Whether a layer was unpacked before this boot, and never known to be on disk.
pub(super) fn is_lost(folder: &Path) -> bool {
    let boot = fsx::read_optional(&folder.join(UNSYNCED));
    boot.is_ok_and(|boot| boot.is_some_and(|boot| boot != sys::boot_id().as_bytes()))
}

/// What is known of an unpacked layer (`layer.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    pub diff_id: Digest,
    /// Bytes of file content, as its archive has them.
    pub size: u64,
    pub entries: u64,
    /// Device nodes left out, since an ordinary user may not make any.
    #[serde(default)]
    pub skipped_devices: u64,
    /// Files of others than root, by its archive.
    #[serde(default)]
    pub other_owners: u64,
    /// Those of them that belong to root here, as the user's namespace does not have their owners.
    #[serde(default)]
    pub unknown_owners: u64,
}

impl LayerInfo {
    /// An empty layer.
    pub(super) fn of(diff_id: Digest) -> Self {
        let (size, entries) = (0, 0);
        let (skipped_devices, other_owners, unknown_owners) = (0, 0, 0);
        Self { diff_id, size, entries, skipped_devices, other_owners, unknown_owners }
    }
}

impl Record for LayerInfo {
    const KIND: &'static str = "layer";
    const VERSION: u32 = 1;
}

/// The chain ids of layers (OCI image-spec, config.md "Layer ChainID"), bottom first.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => digest_of(format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(next);
    }
    chain
}

impl Store {
    /// The root of an unpacked layer's tree. Where this user's ids have changed since it was unpacked, a container goes on
    /// with what it had.
    pub fn layer_path(&self, chain: &Digest) -> PathBuf {
        self.existing_folder(chain).join("fs")
    }

    fn existing_folder(&self, chain: &Digest) -> PathBuf {
        let folder = self.layer_folder(chain);
        if folder.exists() {
            return folder;
        }
        let other = match sys::owners() {
            Owners::All | Owners::One => self.root.mapped_layers(),
            Owners::Mapped => self.root.layers(),
        };
        Some(other.join(chain.digest())).filter(|other| other.exists()).unwrap_or(folder)
    }

    /// Whether a layer has files of others than root.
    pub fn has_other_owners(&self, chain: &Digest) -> bool {
        let info = record::read::<LayerInfo>(&self.existing_folder(chain).join("layer.json"));
        !matches!(info, Ok(Some(info)) if info.other_owners == 0)
    }

    pub fn has_layer(&self, chain: &Digest) -> bool {
        let folder = self.layer_folder(chain);
        folder.exists() && !is_lost(&folder)
    }

    pub fn layer_info(&self, chain: &Digest) -> Result<Option<LayerInfo>> {
        record::read(&self.layer_folder(chain).join("layer.json")).map_err(Error::Layer)
    }

    pub(super) fn layer_folder(&self, chain: &Digest) -> PathBuf {
        self.layers().join(chain.digest())
    }

    /// Where this process's layers are: their files have the owners that this user's files can have.
    pub(super) fn layers(&self) -> PathBuf {
        match sys::owners() {
            Owners::All | Owners::One => self.root.layers(),
            Owners::Mapped => self.root.mapped_layers(),
        }
    }
}
