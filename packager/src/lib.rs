//! Makes and moves images: registries, archives.

pub mod archive;
pub mod registry;
