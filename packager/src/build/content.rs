//! The digest of what a `COPY` takes: names, modes, owners, links and bytes. Times don't count, as in BuildKit.

use super::Error;
use super::cache::hashes::{Hashes, digest_file};
use super::walk::{Ignored, Item, Match, Source};
use knarr_core::image::Digest;
use knarr_core::store::Hasher;
use knarr_core::sys::{self, NodeKind, Special};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

/// A hash over fields that cannot run into each other.
pub struct Key {
    hasher: Hasher,
}

impl Key {
    pub fn new(kind: &str) -> Self {
        let mut key = Self { hasher: Hasher::sha256() };
        key.text(kind);
        key
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.hasher.update(&number.to_le_bytes());
        self
    }

    pub fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let texts: Vec<&str> = texts.into_iter().collect();
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
        self
    }

    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

/// Adds everything under a match to a key.
pub fn add(
    key: &mut Key,
    source: &Source,
    start: &Match,
    exclude: Option<&dyn Ignored>,
    hashes: Option<&Hashes>,
) -> Result<(), Error> {
    let mut links: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    source.walk(start, exclude, &mut |item| {
        let failed = source.failed("read", item.full);
        let attributes = item.attributes;
        key.bytes(item.path).number(attributes.mode.into());
        key.number(attributes.uid.into()).number(attributes.gid.into());
        for (name, value) in &attributes.xattrs {
            key.bytes(name).bytes(value);
        }
        // the content of a second name is that of the first; which names are one file matters
        if let Some(identity) = attributes.shared.filter(|_| !source.is_context) {
            if let Some(first) = links.get(&identity) {
                key.text("link").bytes(first);
                return Ok(());
            }
            links.insert(identity, item.path.to_vec());
        }
        match (attributes.kind, attributes.special) {
            (NodeKind::Directory, _) => {
                key.text("directory");
            }
            (NodeKind::Symlink, _) => {
                let target = sys::read_link(item.real).map_err(&failed)?;
                key.text("symlink").bytes(target.as_os_str().as_bytes());
            }
            (_, Some(special)) => {
                let (kind, major, minor) = match special {
                    Special::Character { major, minor } => ("character", major, minor),
                    Special::Block { major, minor } => ("block", major, minor),
                    Special::Fifo => ("fifo", 0, 0),
                };
                key.text(kind).number(major.into()).number(minor.into());
            }
            _ => {
                let digest = match hashes {
                    Some(hashes) => hashes.digest(item.full, item.identity, || open(item)),
                    None => open(item).and_then(digest_file),
                };
                key.text("file").text(&digest.map_err(&failed)?);
            }
        }
        Ok(())
    })
}

/// Opens the file of an item; not if it has become a link meanwhile.
pub fn open(item: &Item) -> std::io::Result<File> {
    sys::open_itself(item.real)
}
