//! Blobs: named by the digest of their content, verified before they get that name.

use super::writer::BlobWriter;
use super::{Error, Result, Store, artifact, digest_of, document, hash::Hasher};
use crate::fsx::{self, Context};
use crate::image::{Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;

/// What a registry accepts at least (OCI distribution-spec, "Pushing Manifests"), and nobody exceeds.
const DOCUMENT_LIMIT: u64 = 4 << 20;

impl Store {
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    /// Whether the content of a descriptor is here. One that states another size than the content has is wrong, however the
    /// content came here.
    pub fn holds(&self, descriptor: &Descriptor) -> Result<bool> {
        match fsx::size_optional(&self.blob_path(descriptor.digest()))? {
            Some(size) => self.check_size(descriptor, size).map(|()| true),
            None => Ok(false),
        }
    }

    pub(super) fn check_size(&self, descriptor: &Descriptor, found: u64) -> Result<()> {
        let (digest, expected) = (descriptor.digest().clone(), descriptor.size());
        if found == expected {
            Ok(())
        } else {
            Err(Error::SizeMismatch { digest, expected, found })
        }
    }

    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        // a digest's grammar lets neither half hold a slash, nor the first be `..`
        self.root.blobs().with_file_name(digest.algorithm().as_ref()).join(digest.digest())
    }

    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        fsx::open(&self.blob_path(digest)).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::BlobMissing { digest: digest.clone() },
            _ => e.into(),
        })
    }

    /// Size in bytes of a blob that is present.
    pub fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let file = self.open_blob(digest)?;
        Ok(file.metadata().at("inspect", &self.blob_path(digest))?.len())
    }

    /// Stores a small blob, such as a JSON document; it is on disk when this returns.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = digest_of(bytes);
        // what is here must not be collected before somebody refers to it
        let _hold = self.hold()?;
        let path = self.blob_path(&digest);
        if path.exists() {
            return Ok(digest);
        }
        let mut file = self.temporary()?;
        file.write_all(bytes).at("write", &path)?;
        file.as_file().sync_all().at("sync", &path)?;
        file.persist(&path).map_err(|e| e.error).at("create", &path)?;
        fsx::sync_directory(&self.root.blobs())?;
        Ok(digest)
    }

    /// Begins or resumes to store a blob: see [`BlobWriter`].
    pub fn writer(&self, expected: &Digest, size: Option<u64>) -> Result<BlobWriter> {
        BlobWriter::open(self, expected, size)
    }

    /// Reads a manifest or an index, verified against its digest, up to 4 MiB.
    pub fn read_manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>> {
        self.read_document(digest, DOCUMENT_LIMIT)
    }

    /// Reads a blob of at most `limit` bytes, verified against its digest.
    pub(super) fn read_document(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let file = self.open_blob(digest)?;
        let path = self.blob_path(digest);
        let size = file.metadata().at("inspect", &path)?.len();
        if size > limit {
            return Err(Error::DocumentTooLarge { digest: digest.clone(), size, limit });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(limit).read_to_end(&mut bytes).at("read", &path)?;
        let mut hasher = Hasher::like(digest)?;
        hasher.update(&bytes);
        let found = hasher.finish();
        if found != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), found });
        }
        Ok(bytes)
    }

    pub fn index(&self, digest: &Digest) -> Result<ImageIndex> {
        let bytes = self.read_manifest_bytes(digest)?;
        document::expect(document::Kind::Index, digest, &bytes)?;
        self.parse("image index", digest, &bytes)
    }

    pub fn manifest(&self, digest: &Digest) -> Result<ImageManifest> {
        let bytes = self.read_manifest_bytes(digest)?;
        document::expect(document::Kind::Manifest, digest, &bytes)?;
        self.parse("image manifest", digest, &bytes)
    }

    /// The configuration of one variant. What Wasm artifacts lack is filled in: see [`artifact`].
    pub fn config(&self, manifest: &ImageManifest) -> Result<ImageConfig> {
        artifact::config(self, manifest)
    }

    pub(super) fn parse<T: serde::de::DeserializeOwned>(
        &self,
        kind: &'static str,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<T> {
        document::parse(bytes).map_err(|source| Error::Malformed {
            kind,
            digest: digest.clone(),
            source,
        })
    }
}
