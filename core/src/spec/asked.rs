//! How a container was asked for, where the rest of its record only says what became of it: for `inspect`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `--runtime`, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// `--volumes-from`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes_from: Vec<String>,
    /// `--publish-all`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub publish_all: bool,
    /// `--cidfile`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidfile: Option<PathBuf>,
}

impl Asked {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// By whom a mount was wished for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// `-v` and `--tmpfs`
    #[default]
    Short,
    /// `--mount`
    Long,
    /// `VOLUME`
    Image,
    /// `--volumes-from`
    Other,
}

impl Origin {
    pub fn is_short(&self) -> bool {
        *self == Self::Short
    }
}
