//! What a build came to, in the forms that people and programs take.

use crate::error::Failure;
use knarr_core::hint::Hint;
use knarr_packager::build::{Built, Error};
use knarr_runtime::{net, oneshot};
use serde_json::{Map, Value, json};

/// An error with its causes; the hint may be one of the runtime's, which the library knows nothing of.
pub fn failure(error: &Error) -> Failure {
    let mut hint = error.hint();
    let mut source = std::error::Error::source(error);
    while let (None, Some(cause)) = (&hint, source) {
        hint = (cause.downcast_ref::<oneshot::Error>().and_then(Hint::hint))
            .or_else(|| cause.downcast_ref::<net::Error>().and_then(Hint::hint));
        source = cause.source();
    }
    Failure::of(error, hint)
}

/// What names the image: the digest of its index, or of its only manifest.
pub fn id(built: &Built) -> Option<String> {
    let only = match built.variants.as_slice() {
        [variant] => Some(&variant.manifest),
        _ => None,
    };
    built.image.as_ref().or(only).map(|descriptor| descriptor.digest().to_string())
}

/// `--metadata-file`, with buildx's names.
pub fn metadata(built: &Built) -> Value {
    let mut all = Map::new();
    for variant in &built.variants {
        // with one platform the names stand alone
        let suffix = match built.variants.len() {
            1 => String::new(),
            _ => format!("/{}", variant.platform),
        };
        if !variant.provenance.is_null() {
            all.insert(format!("buildx.build.provenance{suffix}"), variant.provenance.clone());
        }
        all.insert(format!("containerimage.config.digest{suffix}"), json!(variant.config));
    }
    if let Some(descriptor) = &built.image {
        all.insert("containerimage.descriptor".into(), json!(descriptor));
        all.insert("containerimage.digest".into(), json!(descriptor.digest()));
    }
    if !built.tags.is_empty() {
        let names: Vec<_> = built.tags.iter().map(ToString::to_string).collect();
        all.insert("image.name".into(), json!(names.join(",")));
    }
    Value::Object(all)
}
