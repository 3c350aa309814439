//! Layers: from a tarball to a layer, and to an image of this one layer.

use super::Error;
use super::compression::{Sniffed, decompress};
use crate::index::{descriptor, put_json};
use knarr_core::fsx;
use knarr_core::image::media_type::Compression;
use knarr_core::image::{Descriptor, Digest, ImageConfig, MediaType};
use knarr_core::store::{Hasher, Staged, Store};
use oci_spec::image::ImageManifestBuilder;
use std::fs::File;
use std::io::{self, Read};

/// Stores a tarball as it comes as the only layer of an image, and returns the descriptor of its manifest.
/// `config` lacks only its diff id.
pub fn single(
    store: &Store,
    tarball: &mut dyn Read,
    mut config: ImageConfig,
) -> Result<Descriptor, Error> {
    let mut staged = store.stage()?;
    let mut input = Sniffed::new(tarball).map_err(Error::Read)?;
    let media_type = media_type(input.compression());
    io::copy(&mut input, &mut staged)
        .map_err(|source| Error::Write { what: "the layer", source })?;
    let diff_id = diff_id(&staged, true)?;
    let (digest, size) = staged.finish()?;
    config.rootfs.diff_ids = vec![diff_id.to_string()];
    manifest(store, config, vec![Descriptor::new(media_type, size, digest)])
}

/// Writes configuration and manifest of an image, and returns the manifest's descriptor.
pub fn manifest(
    store: &Store,
    config: ImageConfig,
    layers: Vec<Descriptor>,
) -> Result<Descriptor, Error> {
    let (digest, size) = put_json(store, &config)?;
    with_config(store, Descriptor::new(MediaType::ImageConfig, size, digest), layers)
}

/// [`manifest`] for a configuration that is in the store.
pub fn with_config(
    store: &Store,
    config: Descriptor,
    layers: Vec<Descriptor>,
) -> Result<Descriptor, Error> {
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .build()
        .expect("every required field is set");
    let (digest, _) = put_json(store, &manifest)?;
    Ok(descriptor(store, &digest)?)
}

pub fn media_type(compression: Compression) -> MediaType {
    match compression {
        Compression::None => MediaType::ImageLayer,
        Compression::Gzip => MediaType::ImageLayerGzip,
        Compression::Zstd => MediaType::ImageLayerZstd,
    }
}

/// The digest of staged content once it is decompressed; with `check` it must be a tar archive.
pub fn diff_id(staged: &Staged, check: bool) -> Result<Digest, Error> {
    diff_id_of(fsx::open(&staged.path())?, check)
}

/// [`diff_id`] of a file.
pub fn diff_id_of(file: File, check: bool) -> Result<Digest, Error> {
    let content = decompress(io::BufReader::new(file)).map_err(Error::NotATarball)?;
    let mut hashed = Hashed { content, hasher: Hasher::sha256() };
    if check {
        let mut archive = tar::Archive::new(&mut hashed);
        for entry in archive.entries().map_err(Error::NotATarball)? {
            entry.map_err(Error::NotATarball)?;
        }
    }
    // what follows the end of the archive is part of the digest as well
    io::copy(&mut hashed, &mut io::sink()).map_err(Error::NotATarball)?;
    Ok(hashed.hasher.finish())
}

struct Hashed<R> {
    content: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}
