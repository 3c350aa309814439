//! Images in files: OCI archives and layouts (OCI image-spec, image-layout.md), docker archives, and tarballs
//! of root file systems.
//!
//! Nothing of an archive is ever written under a name from it: content goes into the store by its digest, or
//! is dropped. So `../` and links in an archive have nothing to escape from; they are refused all the same,
//! since nobody makes such an archive by accident.

mod change;
mod commit;
mod error;
mod import;
pub(crate) mod layer;
mod load;
mod names;
mod read;
mod save;

pub use change::InvalidChange;
pub use commit::{Commit, commit};
pub use error::Error;
pub use import::{ImportOptions, import};
pub use load::{load, load_path};
pub use save::{Format, InvalidFormat, SaveOptions, save};

/// Documents in archives: as manifests in registries.
const DOCUMENT_LIMIT: u64 = 4 << 20;
