//! Reads an archive's entries into the store, in whatever order they come, before anybody knows what they are.

use super::{DOCUMENT_LIMIT, Error};
use knarr_core::image::Digest;
use knarr_core::store::{Staged, Store};
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Component, Path};

/// More entries than this is no archive of images but an attack: a layer is one entry.
const ENTRY_LIMIT: usize = 20_000;
/// Each file outside `blobs/` is an open file until its place is known.
const STAGED_LIMIT: usize = 600;

/// What an archive holds.
#[derive(Default)]
pub struct Contents {
    /// `index.json`, `manifest.json`
    documents: HashMap<String, Vec<u8>>,
    /// Files of unknown digest: layers and configurations of docker archives.
    pub staged: HashMap<String, Staged>,
    /// Symbolic and hard links: docker archives share equal layers so.
    links: HashMap<String, String>,
}

impl Contents {
    pub fn read(store: &Store, input: impl Read) -> Result<Self, Error> {
        let mut contents = Self::default();
        let mut archive = tar::Archive::new(input);
        let entries = archive.entries().map_err(|_| Error::NotAnArchive)?;
        for (count, entry) in entries.enumerate() {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(_) if count == 0 => return Err(Error::NotAnArchive),
                Err(e) => return Err(Error::Read(e)),
            };
            let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if count >= ENTRY_LIMIT {
                return Err(refused(&raw, "is one entry too many"));
            }
            let path = normalise("", &raw)?;
            match entry.header().entry_type() {
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    contents.file(store, path, &mut entry)?;
                }
                tar::EntryType::Symlink | tar::EntryType::Link => {
                    let is_hard = entry.header().entry_type() == tar::EntryType::Link;
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let target = normalise(if is_hard { "" } else { folder }, &target)?;
                    contents.links.insert(path, target);
                }
                tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {}
                _ => return Err(refused(&raw, "is neither a file, a directory nor a link")),
            }
        }
        Ok(contents)
    }

    fn file(
        &mut self,
        store: &Store,
        path: String,
        content: &mut tar::Entry<'_, impl Read>,
    ) -> Result<(), Error> {
        let size = content.size();
        if matches!(path.as_str(), "index.json" | "manifest.json") {
            if size > DOCUMENT_LIMIT {
                return Err(Error::TooLarge { entry: path, limit: DOCUMENT_LIMIT });
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(Error::Read)?;
            self.documents.insert(path, bytes);
            return Ok(());
        }
        if let Some(digest) = blob_digest(&path) {
            return keep(store, &path, &digest, size, content);
        }
        // the old format's own bookkeeping
        if matches!(
            path.rsplit('/').next(),
            Some("VERSION" | "json" | "repositories" | "oci-layout")
        ) {
            return Ok(());
        }
        if self.staged.len() >= STAGED_LIMIT {
            return Err(refused(&path, "is one file too many outside blobs/"));
        }
        let mut staged = store.stage()?;
        copy(content, &mut staged)?;
        self.staged.insert(path, staged);
        Ok(())
    }

    pub fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(name).map(Vec::as_slice)
    }

    /// Follows links within the archive to the name of a file.
    pub fn resolve(&self, path: &str) -> Result<String, Error> {
        let mut path = normalise("", path)?;
        for _ in 0..16 {
            match self.links.get(&path) {
                Some(target) => path.clone_from(target),
                None => return Ok(path),
            }
        }
        Err(refused(&path, "is a link that leads in a circle"))
    }
}

/// Stores content under its digest, which is verified.
pub fn keep(
    store: &Store,
    entry: &str,
    digest: &Digest,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), Error> {
    use knarr_core::store::Error as StoreError;
    let mut writer = store.writer(digest, Some(size))?;
    if writer.is_complete() {
        return Ok(());
    }
    // what an interrupted pull left is not worth a second code path
    writer.restart()?;
    copy(content, &mut writer)?;
    writer.commit().map_err(|e| match e {
        StoreError::DigestMismatch { expected, found } => {
            Error::DigestMismatch { entry: entry.to_owned(), expected: expected.to_string(), found }
        }
        StoreError::SizeMismatch { expected, found, .. } => {
            Error::SizeMismatch { entry: entry.to_owned(), expected, found }
        }
        other => other.into(),
    })
}

/// `io::copy` that tells which side failed.
fn copy(from: &mut dyn Read, to: &mut dyn io::Write) -> Result<(), Error> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer).map_err(Error::Read)? {
            0 => return Ok(()),
            n => to
                .write_all(&buffer[..n])
                .map_err(|source| Error::Write { what: "to the store", source })?,
        }
    }
}

/// `blobs/sha256/<hex>`
pub fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// A path within the archive without `.` and `..`; one that leaves the archive is refused.
fn normalise(folder: &str, path: &str) -> Result<String, Error> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => {
                parts.push(part.to_str().ok_or_else(|| refused(path, "is not UTF-8"))?);
            }
            Component::ParentDir if !folder.is_empty() && !parts.is_empty() => {
                parts.pop();
            }
            _ => return Err(refused(path, "leads out of the archive")),
        }
    }
    Ok(parts.join("/"))
}

fn refused(entry: &str, reason: &'static str) -> Error {
    Error::Refused { entry: entry.to_owned(), reason }
}
