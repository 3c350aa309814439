//! Builds: from a Dockerfile and a context to images.

mod error;
pub mod options;
pub mod progress;
pub mod step;

pub use error::Error;
pub use options::Options;
pub use progress::{BuildProgress, Event, Quiet, Vertex, VertexId};
pub use step::{
    Cancellation, Exit, RunStep, StepError, StepMount, StepMountKind, StepRunner, Stream,
};

use crate::registry;
use crate::wasm::ModuleReport;
use knarr_core::image::{Descriptor, Digest, Platform, Reference};

/// What a build needs besides its options.
pub struct Services<'a> {
    pub runner: &'a dyn StepRunner,
    pub progress: &'a dyn BuildProgress,
    /// Read only if something is pulled or pushed.
    pub registry: &'a (dyn Fn() -> Result<registry::Config, registry::config::Error> + Sync),
    /// Used by the caller to stop the build.
    pub cancellation: Cancellation,
}

/// What came out of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// What the tags name: an index, or the manifest of the only variant. `None` where nothing went into the store.
    pub image: Option<Descriptor>,
    pub tags: Vec<Reference>,
    pub variants: Vec<BuiltVariant>,
}

/// One variant.
#[derive(Debug, Clone)]
pub struct BuiltVariant {
    pub platform: Platform,
    pub manifest: Descriptor,
    /// Of the configuration.
    pub config: Digest,
    /// The provenance (an in-toto predicate), for `--metadata-file`.
    pub provenance: serde_json::Value,
    /// What is known of the Wasm module that is the entrypoint.
    pub module: Option<ModuleReport>,
}
