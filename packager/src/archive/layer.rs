//! Layers: from a tarball to a layer, and to an image of this one layer.

use super::Error;
use crate::index::{descriptor, put_json};
use flate2::write::GzEncoder;
use knarr_core::compression::{Compression, Sniffed, decompress};
use knarr_core::fsx;
use knarr_core::image::{Descriptor, Digest, ImageConfig, MediaType};
use knarr_core::store::{Hasher, Staged, Store};
use oci_spec::image::ImageManifestBuilder;
use std::fs::File;
use std::io::{self, Read};

/// Stores a tarball as the only layer of an image, as it comes where layers may be so, and returns the descriptor of its
/// manifest.
/// `config` lacks only its diff id.
pub fn single(
    store: &Store,
    tarball: &mut dyn Read,
    mut config: ImageConfig,
) -> Result<Descriptor, Error> {
    let (staged, media_type) = stage(store, tarball)?;
    let diff_id = diff_id(store, &staged, true)?;
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

/// Takes a layer in, compressed as images may have it (OCI image-spec, layer.md): what is not becomes gzip.
pub fn stage(store: &Store, layer: impl Read) -> Result<(Staged, MediaType), Error> {
    let written = |source| Error::Write { what: "the layer", source };
    let mut staged = store.stage()?;
    let mut input = Sniffed::new(layer).map_err(Error::Read)?;
    if let Some(media_type) = media_type(input.compression()) {
        io::copy(&mut input, &mut staged).map_err(written)?;
        return Ok((staged, media_type));
    }
    let mut content = input.decompress(store.room()).map_err(Error::NotATarball)?;
    let mut out = GzEncoder::new(staged, flate2::Compression::fast());
    io::copy(&mut content, &mut out).map_err(Error::NotATarball)?;
    Ok((out.finish().map_err(written)?, MediaType::ImageLayerGzip))
}

/// `None`: no layer of an image may be compressed so.
pub fn media_type(compression: Compression) -> Option<MediaType> {
    match compression {
        Compression::None => Some(MediaType::ImageLayer),
        Compression::Gzip => Some(MediaType::ImageLayerGzip),
        Compression::Zstd => Some(MediaType::ImageLayerZstd),
        Compression::Bzip2 | Compression::Xz => None,
    }
}

/// The digest of staged content once it is decompressed; with `check` it must be a tar archive.
pub fn diff_id(store: &Store, staged: &Staged, check: bool) -> Result<Digest, Error> {
    diff_id_of(store, fsx::open(&staged.path())?, check)
}

/// [`diff_id`] of a file.
pub fn diff_id_of(store: &Store, file: File, check: bool) -> Result<Digest, Error> {
    let content = decompress(file, store.room()).map_err(Error::NotATarball)?;
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
