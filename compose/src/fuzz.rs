//! Ways in for fuzzers, past the file system.

use serde_json::Value;

use crate::load::{Error, Loaded, Options};
use crate::model::plain;

/// Loads a project from one text. What it names is read from the file system all the same.
pub fn load(text: &str, options: &Options) -> Result<Loaded, Error> {
    crate::load::text(text, options)
}

/// The value that a document in YAML is; nothing if it is none.
pub fn parse(text: &str) -> Option<Value> {
    crate::load::document(text).map(|root| plain(&root))
}
