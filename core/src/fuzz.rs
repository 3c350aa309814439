//! What the fuzz targets reach and nobody else does. Compiled only with `--cfg fuzzing`.

use crate::image::{ImageConfig, ImageIndex, ImageManifest};
use crate::store::{digest_of, document};

/// A document of an image: what it is, and what is in it. Shows that every error has words.
pub fn document(bytes: &[u8]) {
    let digest = digest_of(bytes);
    match document::kind(&digest, bytes) {
        Ok(document::Kind::Index) => said(document::parse::<ImageIndex>(bytes)),
        Ok(document::Kind::Manifest) => said(document::parse::<ImageManifest>(bytes)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    said(document::parse::<ImageConfig>(bytes).map(|config| config.platform().to_string()));
}

fn said<T>(result: serde_json::Result<T>) {
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
}
