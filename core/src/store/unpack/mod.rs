//! Unpacking one layer (OCI image-spec, layer.md) into a tree that overlayfs takes as a lower directory.
//!
//! The archive is hostile. No name, symbolic link or hard link in it leads outside the tree
//! ([`crate::sys::Tree`]), names that try to are an error, and neither the size of the archive nor that of its
//! headers decides how much memory or disk is used.
//!
//! What an ordinary user cannot make is left out, as rootless Podman does: owners (all is the user's own),
//! device nodes (counted in [`LayerInfo`]), and attributes other than `user.*`.

mod path;
mod pax;
mod place;
mod settle;
mod spill;
mod stream;
pub mod tar;

pub use path::split;
pub use settle::settle;

use super::Hasher;
use super::error::storage_hint;
use super::layer::LayerInfo;
use crate::hint::Hint;
use crate::image::Digest;
use crate::sys::{self, Attributes, Tree};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read its content")]
    Read(#[source] io::Error),
    #[error("the digest algorithm {0} is not supported")]
    DigestAlgorithm(String),
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    #[error("{name:?} is of the kind {kind:?}, which no layer may have")]
    UnknownKind { name: String, kind: char },
    #[error("the name {name:?} leads outside the layer")]
    Outside { name: String },
    #[error("{name:?} is a hard link to {target:?}, which is outside the layer")]
    LinkOutside { name: String, target: String },
    #[error("{name:?} is a hard link to {target:?}, which is in no layer")]
    LinkToNothing { name: String, target: String },
    #[error("{name:?} is not the name of a removed file")]
    InvalidWhiteout { name: String },
    #[error("cannot {operation} {name:?}")]
    Entry { operation: &'static str, name: String, source: io::Error },
    #[error(
        "{name:?} has an owner that only the user's namespace knows, and this process is outside"
    )]
    OutsideNamespace { name: String },
    #[error("it unpacks to more than the limit of {limit} bytes")]
    TooLarge { limit: u64 },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Entry { source, .. } | Self::Read(source) => storage_hint(source),
            Self::TooLarge { .. } => Some(
                "the limit is what the disk has left, unless one was set: free some space or raise it"
                    .into(),
            ),
            _ => None,
        }
    }
}

pub struct Options {
    /// In bytes of the archive; `None`: what the file system has left, less a reserve.
    pub limit: Option<u64>,
    pub superuser: bool,
    /// There is no layer below: nothing to hide, and no attributes to take over.
    pub bottom: bool,
}

/// What came out, and what can only be known from the layers below.
#[derive(Debug)]
pub struct Unpacked {
    pub info: LayerInfo,
    /// There is no layer below.
    bottom: bool,
    /// Directories that the archive leaves out, parents first.
    pub implied: Vec<Vec<u8>>,
    /// Names and targets of hard links to files that the archive does not hold.
    links: Vec<(Vec<u8>, Vec<u8>)>,
    /// The root directory hides everything below, a mark that overlayfs does not look for there.
    opaque_root: bool,
}

impl Unpacked {
    pub fn needs_layers_below(&self) -> bool {
        !self.bottom && (self.opaque_root || !self.implied.is_empty() || !self.links.is_empty())
    }

    /// A layer with nothing but a Wasm binary.
    pub fn module(diff_id: Digest, size: u64) -> Self {
        let info = LayerInfo { size, entries: 1, ..LayerInfo::of(diff_id) };
        Self { info, bottom: true, implied: Vec::new(), links: Vec::new(), opaque_root: false }
    }
}

/// Unpacks an archive into the empty directory `into`. The digest of the whole archive is in the result, for
/// the caller to compare.
pub fn archive(
    blob: File,
    into: &Path,
    diff_id: &Digest,
    options: &Options,
) -> Result<Unpacked, Error> {
    let tree = open(into, options)?;
    let limit = limit(into, options);
    let too_large = |e| match e {
        Error::Read(e) if e.kind() == io::ErrorKind::FileTooLarge => Error::TooLarge { limit },
        other => other,
    };
    let (mut unpacked, found) = stream::with_archive(blob, diff_id, limit, |chunks| {
        let mut reader = tar::Reader::new(chunks);
        let mut placer = place::Placer::new(&tree, into, options)?;
        while let Some(entry) = reader.next_entry()? {
            placer.place(&entry, &mut reader)?;
        }
        reader.drain()?;
        placer.finish(diff_id)
    })
    .map_err(too_large)?;
    unpacked.info.diff_id = found;
    Ok(unpacked)
}

/// Unpacks an archive that is no image layer into an empty directory, as safely.
pub fn unpack_archive(archive: File, into: &Path, limit: Option<u64>) -> Result<Unpacked, Error> {
    let options = Options { limit, superuser: sys::is_superuser(), bottom: true };
    // no digest is expected; which algorithm computes it does not matter
    self::archive(archive, into, &super::digest_of(b""), &options)
}

/// Copies a Wasm binary to a file of the given name; returns its digest, for the caller to compare, and size.
pub fn module(
    mut blob: File,
    into: &Path,
    name: &str,
    digest: &Digest,
    options: &Options,
) -> Result<(Digest, u64), Error> {
    let failed =
        |operation| move |source| Error::Entry { operation, name: name.to_owned(), source };
    let tree = open(into, options)?;
    let limit = limit(into, options);
    let mut hasher =
        Hasher::like(digest).map_err(|_| Error::DigestAlgorithm(digest.algorithm().to_string()))?;
    let mut file = tree.root().make_file(name.as_bytes()).map_err(failed("create"))?;
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let n = blob.read(&mut buffer).map_err(Error::Read)?;
        if n == 0 {
            break;
        }
        size += n as u64;
        if size > limit {
            return Err(Error::TooLarge { limit });
        }
        hasher.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(failed("write"))?;
    }
    let attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: Some((0, 0)), xattrs: &[] };
    tree.set_file_attributes(&file, &attributes).map_err(failed("set the attributes of"))?;
    tree.set_attributes(tree.root(), &attributes).map_err(failed("set the attributes of"))?;
    Ok((hasher.finish(), size))
}

fn open(into: &Path, options: &Options) -> Result<Tree, Error> {
    Tree::open(into, options.superuser).map_err(|source| Error::Entry {
        operation: "open the folder of",
        name: into.display().to_string(),
        source,
    })
}

/// A decompression bomb must not fill the disk.
fn limit(into: &Path, options: &Options) -> u64 {
    options.limit.unwrap_or_else(|| crate::compression::room(into))
}
