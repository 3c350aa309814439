//! What is known of a volume.

use super::{Backing, Paths, Result};
use jiff::Timestamp;
use knarr_core::record::Record;
use knarr_core::root::Root;
use knarr_core::spec::VolumeMount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is known of a volume (`volume.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    pub created: Timestamp,
    /// Made for one container that named none; goes with it (`rm -v`, `--rm`).
    pub anonymous: bool,
    pub labels: BTreeMap<String, String>,
    /// `-o`, see [`Backing`].
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// A volume that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVolume {
    pub name: String,
    pub anonymous: bool,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    /// It survives a power cut, as every volume with a name does.
    pub lasting: bool,
}

impl From<&VolumeMount> for NewVolume {
    fn from(mount: &VolumeMount) -> Self {
        Self {
            name: mount.name.clone(),
            anonymous: mount.anonymous,
            labels: mount.labels.clone(),
            options: mount.options.clone(),
            lasting: false,
        }
    }
}

impl Volume {
    pub fn backing(&self) -> Result<Backing> {
        Ok(Backing::parse(&self.options)?)
    }

    /// The directory that containers see.
    pub fn data(&self, root: &Root) -> Result<PathBuf> {
        match self.backing()? {
            Backing::Directory(path) => Ok(path),
            Backing::Folder | Backing::Memory { .. } => Ok(Paths::of(root, &self.name)?.data()),
        }
    }
}

impl Record for Volume {
    const KIND: &'static str = "volume";
    const VERSION: u32 = 1;
}
