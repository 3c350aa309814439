//! `--cache-from` and `--cache-to`.

use crate::build::Error;
use crate::build::execute::{Build, State};
use crate::build::output::Variant;
use crate::build::progress::VertexId;
use crate::build::report::Report;
use crate::build::{Options, Services};
use knarr_core::image::Digest;
use knarr_core::store::Store;
use knarr_core::store::cached::CachedStep;

/// Part of every key: raised when a step comes to mean something else.
pub const KEY_VERSION: &str = "1";

/// What other caches offer.
#[derive(Default)]
pub struct Imports {}

impl Imports {
    pub fn open(
        _store: &Store,
        _options: &Options,
        _services: &Services,
        _report: &Report,
    ) -> Result<Self, Error> {
        Ok(Self {})
    }

    pub fn find(
        &self,
        _build: &Build,
        _key: &Digest,
        _state: &State,
        _vertex: VertexId,
    ) -> Result<Option<CachedStep>, Error> {
        Ok(None)
    }
}

/// `--cache-to type=inline`: adds the keys of the layers to an image's configuration.
pub fn add_inline(_build: &Build, _state: &State, _document: &mut serde_json::Value) {}

pub fn export(_build: &Build, _variants: &[Variant]) -> Result<(), Error> {
    Ok(())
}
