//! Removing images, and collecting what nothing refers to any more.

use super::{Result, Store};
use crate::image::{Digest, Reference};

/// That a container uses an image, whatever became of the image's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// For messages: the container's name or short id.
    pub container: String,
    /// [`crate::spec::SpecImage::manifest`]
    pub manifest: Digest,
    /// [`crate::spec::SpecImage::layers`]
    pub layers: Vec<Digest>,
    pub running: bool,
}

/// Lists what containers use; called while nobody can add to it.
pub type Usages<'a> =
    &'a dyn Fn() -> std::result::Result<Vec<Usage>, Box<dyn std::error::Error + Send + Sync>>;

/// One thing that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Untagged(Reference),
    /// An image, by its id.
    Image(Digest),
    /// Bytes of a blob on disk.
    Blob {
        digest: Digest,
        bytes: u64,
    },
    /// An unpacked layer, by its chain id.
    Layer {
        chain: Digest,
        bytes: u64,
    },
}

impl Store {
    /// `rmi`: takes away a name, or an id with all its names; the last name takes the image with it.
    pub fn remove(&self, text: &str, force: bool, usages: Usages) -> Result<Vec<Removed>> {
        let _ = (text, force, usages);
        Ok(Vec::new())
    }

    /// Removes blobs and layers that neither an image nor a container refers to, and leftovers of processes
    /// that died. Does nothing while somebody holds the content ([`Store::hold`]).
    pub fn collect(&self, usages: Usages) -> Result<Vec<Removed>> {
        let _ = usages;
        Ok(Vec::new())
    }
}
