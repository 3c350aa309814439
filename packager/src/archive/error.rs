use super::change::InvalidChange;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::image::Digest;
use knarr_core::image::variant::NoVariant;
use knarr_core::store;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    #[error("cannot write {what}")]
    Write { what: &'static str, source: io::Error },
    #[error("the input is neither an OCI archive, an OCI layout nor a docker archive")]
    NotAnArchive,
    #[error("the input is not a tarball of a root file system")]
    NotATarball(#[source] io::Error),
    #[error("the archive is refused: {entry:?} {reason}")]
    Refused { entry: String, reason: &'static str },
    #[error("{entry} of the archive is larger than {limit} bytes")]
    TooLarge { entry: String, limit: u64 },
    #[error("{entry} of the archive is not valid")]
    Malformed { entry: String, source: serde_json::Error },
    #[error("{entry} of the archive has the digest {found} instead of {expected}")]
    DigestMismatch { entry: String, expected: String, found: Digest },
    #[error("{entry} of the archive has {found} bytes instead of {expected}")]
    SizeMismatch { entry: String, expected: u64, found: u64 },
    #[error("the archive lacks {what}")]
    Missing { what: String },
    #[error("the image {image} in the archive has {layers} layers and {diff_ids} diff ids")]
    LayerCount { image: String, layers: usize, diff_ids: usize },
    #[error("the content of {image} is not complete in the store")]
    Incomplete { image: String },
    #[error(
        "the variant {platform} of {image} is not made of tar layers, which a docker archive needs"
    )]
    NotForDocker { image: String, platform: String },
    #[error("cannot choose a variant of {image}")]
    NoVariant { image: String, source: NoVariant },
    #[error(transparent)]
    Change(#[from] InvalidChange),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(source) => return source.hint(),
            Self::NotAnArchive => {
                "make one with 'knarr save', 'docker save' or 'skopeo copy'; a tarball of a root file \
                 system is for 'knarr import'"
                    .into()
            }
            Self::NotATarball(_) => {
                "give a tar archive, plain or compressed with gzip, bzip2, xz or zstd; images are for 'knarr load'"
                    .into()
            }
            Self::Incomplete { image } => format!("run 'knarr pull {image}' first"),
            Self::NotForDocker { .. } => "save it as --format oci-archive".into(),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Missing { .. } => {
                "the archive is damaged or incomplete; make it again".into()
            }
            Self::NoVariant { source, .. } => return source.hint(),
            Self::Change(source) => return source.hint(),
            _ => return None,
        })
    }
}
