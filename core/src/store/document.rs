//! Reading the JSON documents of images, as everybody writes them: Go's `null` for absent lists, manifests
//! without `mediaType`, Docker's media types.

use super::{Error, Result};
use crate::image::{Digest, media_type};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses a document; where it is not what the specification asks for, once more without its `null`s and
/// with empty lists for those that are missing.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| {
        let Ok(mut value) = serde_json::from_slice(bytes) else { return Err(error) };
        strip_nulls(&mut value);
        if let Value::Object(map) = &mut value {
            // the one that is not of this document's kind is ignored
            for list in ["layers", "manifests"] {
                map.entry(list).or_insert_with(|| Value::Array(Vec::new()));
            }
            map.entry("schemaVersion").or_insert(2.into());
            complete_platforms(map);
        }
        serde_json::from_value(value).map_err(|_| error)
    })
}

/// A platform of an index's entry may lack either half; what is empty is known to be so.
fn complete_platforms(index: &mut serde_json::Map<String, Value>) {
    let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
    for platform in entries.into_iter().flatten().filter_map(|entry| entry.get_mut("platform")) {
        if let Value::Object(platform) = platform {
            for field in ["os", "architecture"] {
                platform.entry(field).or_insert_with(|| Value::String(String::new()));
            }
        }
    }
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => {
            list.retain(|v| !v.is_null());
            list.iter_mut().for_each(strip_nulls);
        }
        _ => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Index,
    Manifest,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Index => "image index",
            Self::Manifest => "image manifest",
        }
    }
}

/// What a document is: by its own `mediaType`, else by what is in it. One that could be read as either is
/// refused, since two readers would see two images under one digest (CVE-2021-41190).
pub fn kind(digest: &Digest, bytes: &[u8]) -> Result<Kind> {
    let malformed = |source| Error::Malformed {
        kind: "image manifest or index",
        digest: digest.clone(),
        source,
    };
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let has = |field: &str| value.get(field).is_some_and(|v| !v.is_null());
    let by_content = match (has("manifests"), has("layers") || has("config")) {
        (true, true) => None,
        (true, false) => Some(Kind::Index),
        (false, true) => Some(Kind::Manifest),
        // an image without a single variant still is one
        (false, false) => value.get("manifests").map(|_| Kind::Index),
    };
    let stated = match value.get("mediaType").and_then(Value::as_str) {
        Some(stated) if media_type::is_index(stated) => Some(Kind::Index),
        Some(stated) if media_type::is_manifest(stated) => Some(Kind::Manifest),
        Some(_) => None,
        None => by_content,
    };
    match (stated, by_content) {
        (Some(stated), Some(content)) if stated == content => Ok(stated),
        (Some(Kind::Index), None) if !has("manifests") => Ok(Kind::Index),
        _ => Err(malformed(serde::de::Error::custom(
            "it is neither clearly a manifest nor clearly an index",
        ))),
    }
}

pub fn expect(expected: Kind, digest: &Digest, bytes: &[u8]) -> Result<()> {
    let found = kind(digest, bytes)?;
    if found == expected {
        return Ok(());
    }
    Err(Error::WrongKind { digest: digest.clone(), expected: expected.name(), found: found.name() })
}
