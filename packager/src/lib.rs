//! Makes and moves images: Dockerfiles, registries, archives, packed Wasm modules.
//!
//! Nothing here prints; what happens is told to a [`Progress`].

pub mod archive;
pub mod build;
pub mod dockerfile;
mod epoch;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
pub mod index;
mod lookup;
pub mod package;
pub mod progress;
pub mod registry;
pub mod wasm;

pub use progress::{LayerEvent, Progress, Silent};
