//! Images on disk: content-addressed blobs in an OCI image layout (OCI image-spec, image-layout.md) that
//! skopeo and umoci read, and their layers unpacked once and shared by chain id.
//!
//! ```text
//! <data>/oci-layout, index.json   what images there are; changed under images.lock, replaced atomically
//!        blobs/sha256/<hex>       verified before they get this name, never changed afterwards
//!        incoming/<hex>.partial   a blob that is arriving; its lock is held while somebody writes
//!        layers/<hex>/fs          an unpacked layer, under its chain id; never changed once it has this name
//!        layers-mapped/<hex>/fs   the same with the owners that an ordinary user's subordinate ids stand for
//!        layers/<hex>/layer.json  what is known of it (size, diff id)
//!        layers/*.incomplete-*    being unpacked, and locked by who does it; unlocked ones are leftovers
//!        content.lock             shared: nothing may be collected now; exclusive: the collector
//! ```
//!
//! Whoever adds content that no tag refers to yet, or is about to record that a container uses an image,
//! holds [`Store::hold`] until that is written; the collector ([`gc`]) gives way to it.

pub mod archive;
pub mod artifact;
mod blobs;
pub mod building;
pub mod cached;
pub mod changes;
mod copy;
pub(crate) mod document;
mod error;
mod export;
mod footprint;
pub mod gc;
mod hash;
mod images;
mod layer;
mod layers;
mod layout;
pub mod merged;
pub mod snapshot;
mod stage;
mod sweep;
mod told;
mod unpack;
mod walk;
mod writer;

pub use building::{BuiltLayer, LayerBuild};
pub use copy::copy_merged;
pub use document::parse as parse_document;
pub use error::Error;
pub use export::{export, export_changes};
pub use footprint::Footprint;
pub use gc::{Removed, Usage, Usages};
pub use hash::{Hasher, digest_of};
pub use images::{Image, Size, stated_platform};
pub use layer::{LayerInfo, chain_ids};
pub use layers::{LayerUnpacker, UnpackError};
pub use stage::Staged;
pub use unpack::unpack_archive;
pub use walk::Walk;

pub use writer::BlobWriter;

use crate::fsx;
use crate::lock::Lock;
use crate::root::Root;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The images and layers under one root. Cheap to open and to clone; any number of processes may use it.
#[derive(Debug, Clone)]
pub struct Store {
    root: Root,
    layer_limit: Option<u64>,
}

/// While it lives, no process collects what no tag refers to. See [`Store::hold`].
#[derive(Debug)]
#[must_use = "dropping it lets the collector run"]
pub struct Hold {
    _lock: Lock,
}

impl Store {
    /// Opens the store, and lays it out if this is its first use; writes nothing otherwise.
    pub fn open(root: &Root) -> Result<Self> {
        layout::ensure(root)?;
        Ok(Self { root: root.clone(), layer_limit: None })
    }

    /// Refuses layers whose unpacked size is above `bytes`. Without it the limit is what the file system
    /// has left, less a reserve (see [`LayerUnpacker`]).
    pub fn with_layer_limit(self, bytes: u64) -> Self {
        Self { layer_limit: Some(bytes), ..self }
    }

    /// How many bytes what is compressed may unpack to here.
    pub fn room(&self) -> u64 {
        self.layer_limit.unwrap_or_else(|| crate::compression::room(self.root.data()))
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Keeps the collector away: from before content is looked for or added until the tag, or the container
    /// record, that refers to it is written. Many holds coexist, also across network requests: a collector
    /// does not wait for them but leaves the garbage to the next one.
    pub fn hold(&self) -> Result<Hold> {
        Ok(Hold { _lock: Lock::shared(&self.root.content_lock())? })
    }

    /// Alone to change `index.json`; for moments only.
    fn images_lock(&self) -> fsx::Result<Lock> {
        Lock::exclusive(&self.root.images_lock())
    }
}
