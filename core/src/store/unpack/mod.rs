//! Unpacking one layer (OCI image-spec, layer.md).

use super::layers::LayerInfo;
use crate::hint::Hint;
use crate::image::Digest;
use std::fs::File;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not unpacked")]
    None,
}

impl Hint for Error {}

pub struct Options {
    pub limit: Option<u64>,
    pub superuser: bool,
    pub bottom: bool,
}

#[derive(Debug)]
pub struct Unpacked {
    pub info: LayerInfo,
}

impl Unpacked {
    pub fn needs_layers_below(&self) -> bool {
        false
    }

    pub fn module(diff_id: Digest, size: u64) -> Self {
        Self { info: LayerInfo { diff_id, size, entries: 1, skipped_devices: 0 } }
    }
}

pub fn archive(_: File, _: &Path, _: &Digest, _: &Options) -> Result<Unpacked, Error> {
    Err(Error::None)
}

pub fn module(_: File, _: &Path, _: &str, _: &Digest, _: &Options) -> Result<(Digest, u64), Error> {
    Err(Error::None)
}

pub fn settle(_: &Path, _: &Unpacked, _: &[PathBuf]) -> Result<(), Error> {
    Err(Error::None)
}
