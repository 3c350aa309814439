//! What the build cache keeps of the store: the layers that build steps resulted in.

use super::{Result, Store};
use crate::fsx;
use crate::image::Digest;
use crate::record::{self, Record};
use serde::{Deserialize, Serialize};

/// What a build step resulted in (`build-cache/steps/<key>.json`). Written by the packager alone; the collector reads it
/// to know which layers are still of use. The file's time of modification is that of its last use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedStep {
    /// The chain id of the layer.
    pub chain: Digest,
    pub diff_id: Digest,
    /// Bytes of its files.
    pub size: u64,
    /// Whether it changes nothing, and is no layer of an image.
    #[serde(default)]
    pub empty: bool,
    /// RFC 3339.
    pub created: String,
    /// As people know it: `RUN make`.
    pub description: String,
}

impl Record for CachedStep {
    const KIND: &'static str = "build step";
    const VERSION: u32 = 1;
}

impl Store {
    /// The layers that build steps resulted in. A record that cannot be read keeps nothing: the step is run again.
    pub(super) fn cached_layers(&self) -> Result<Vec<Digest>> {
        let folder = self.root().build_steps();
        let mut chains = Vec::new();
        for name in fsx::list(&folder)?.iter().filter(|name| name.ends_with(".json")) {
            if let Ok(Some(step)) = record::read::<CachedStep>(&folder.join(name)) {
                chains.push(step.chain);
            }
        }
        Ok(chains)
    }
}
