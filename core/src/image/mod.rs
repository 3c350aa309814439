//! Images: references, platforms, manifests, and the choice of a variant.
//!
//! The wire formats are `oci_spec`'s; what it lacks (Docker's extensions to the image configuration, the
//! many spellings of Wasm) is here.

pub mod config;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod variant;

pub use config::ImageConfig;
pub use oci_spec::image::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType};
pub use platform::Platform;
pub use reference::Reference;
pub use variant::Variant;
