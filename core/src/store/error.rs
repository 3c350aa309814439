use super::layers::UnpackError;
use crate::fsx;
use crate::hint::Hint;
use crate::image::Digest;
use crate::record;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("no image {text:?} in the store")]
    NotFound { text: String },
    #[error("{prefix:?} is the start of {matches} image ids")]
    Ambiguous { prefix: String, matches: usize },
    #[error("blob {digest} is not in the store")]
    BlobMissing { digest: Digest },
    #[error("content that should have the digest {expected} has {found}")]
    DigestMismatch { expected: Digest, found: Digest },
    #[error("blob {digest} should have {expected} bytes, and has {found}")]
    SizeMismatch { digest: Digest, expected: u64, found: u64 },
    #[error("{digest} has {size} bytes, and a document may have {limit}")]
    DocumentTooLarge { digest: Digest, size: u64, limit: u64 },
    #[error("the digest algorithm of {digest} is not supported (sha256 and sha512 are)")]
    UnsupportedAlgorithm { digest: Digest },
    #[error("{digest} is not a valid {kind}")]
    Malformed { kind: &'static str, digest: Digest, source: serde_json::Error },
    #[error("{digest} should be a {expected}, and is a {found}")]
    WrongKind { digest: Digest, expected: &'static str, found: &'static str },
    #[error("{} is not a valid image index", path.display())]
    MalformedIndex { path: PathBuf, source: serde_json::Error },
    #[error("the image indexes of {digest} are nested more than {limit} deep")]
    NestedTooDeep { digest: Digest, limit: usize },
    #[error("the image has more than {limit} manifests and indexes")]
    TooManyDescriptors { limit: usize },
    #[error("the image has {layers} layers, and at most {limit} can be mounted")]
    TooManyLayers { layers: usize, limit: usize },
    #[error("layer {digest} has the media type {media_type:?}, which cannot be unpacked")]
    UnknownLayer { digest: Digest, media_type: String },
    #[error("the manifest has {layers} layers, and its configuration {diff_ids} diff ids")]
    LayerCount { layers: usize, diff_ids: usize },
    #[error("{text:?} in the image's configuration is not a digest")]
    InvalidDiffId { text: String },
    #[error(transparent)]
    Layer(record::Error),
    #[error("cannot unpack layer {digest}")]
    Unpack { digest: Digest, source: Box<UnpackError> },
    #[error("a layer unpacks to {found}, and its image says {expected}")]
    DiffIdMismatch { expected: Digest, found: Digest },
    #[error("cannot mount the layers on {}", target.display())]
    Mount { target: PathBuf, source: io::Error },
    #[error("cannot copy {} into the root file system", path.display())]
    Copy { path: PathBuf, source: io::Error },
    #[error("cannot write {} to the archive", path.display())]
    Export { path: PathBuf, source: io::Error },
    #[error("image {image} is used by container {container}")]
    InUse { image: String, container: String, running: bool },
    #[error("{reference} cannot be the name of an image whose digest is {found}")]
    WrongDigest { reference: String, found: Digest },
    #[error("image {id} has several names: {}", references.join(", "))]
    SeveralNames { id: String, references: Vec<String> },
    #[error("cannot tell which images containers use")]
    Usage { source: Box<dyn std::error::Error + Send + Sync> },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::File(e) => return storage_hint(&e.source),
            Self::Copy { source, .. } | Self::Export { source, .. } => return storage_hint(source),
            Self::Layer(e) => return e.hint(),
            Self::Unpack { source, .. } => return source.hint(),
            Self::NotFound { text } => format!("fetch it with 'knarr pull {text}'"),
            Self::Ambiguous { .. } => "give more digits of the id".into(),
            Self::BlobMissing { .. } => "pull the image again: what is present is kept".into(),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "the content was damaged on its way or on disk; fetch it again".into()
            }
            Self::DiffIdMismatch { .. } | Self::LayerCount { .. } => {
                "the image is inconsistent; whoever built it has to build it again".into()
            }
            Self::Mount { .. } => {
                "'knarr info' tells whether this host lets this user mount overlays".into()
            }
            Self::InUse { running: true, container, .. } => {
                format!("stop and remove the container first: knarr rm -f {container}")
            }
            Self::InUse { running: false, container, .. } => {
                format!("remove the container first (knarr rm {container}), or force with -f")
            }
            Self::SeveralNames { .. } => "remove one of its names, or all of them with -f".into(),
            _ => return None,
        })
    }
}

/// What helps against a full disk or an exhausted quota.
pub(super) fn storage_hint(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            Some("free some disk space, for example with 'knarr rmi' of images not needed".into())
        }
        io::ErrorKind::QuotaExceeded => Some("this user's disk quota is used up".into()),
        _ => None,
    }
}
