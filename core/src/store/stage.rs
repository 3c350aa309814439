//! Storing content whose digest is known only once all of it has passed: a layer of a docker archive, the
//! tarball of an import, what a build step changed.

use super::{Hasher, Result, Store};
use crate::fsx::{self, Context};
use crate::image::Digest;
use std::io::{self, Write};
use std::path::PathBuf;

/// A blob that gets its name when it is finished. Dropping it removes what was written.
pub struct Staged {
    file: tempfile::NamedTempFile,
    hasher: Hasher,
    size: u64,
    store: Store,
}

impl Store {
    /// Begins a blob of unknown digest.
    pub fn stage(&self) -> Result<Staged> {
        let file = self.temporary()?;
        Ok(Staged { file, hasher: Hasher::sha256(), size: 0, store: self.clone() })
    }
}

impl Staged {
    /// Where the content is until then.
    pub fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    /// Gives the blob its name; it is on disk when this returns. Returns its digest and size.
    pub fn finish(self) -> Result<(Digest, u64)> {
        let digest = self.hasher.finish();
        let path = self.store.blob_path(&digest);
        if path.exists() {
            return Ok((digest, self.size));
        }
        self.file.as_file().sync_data().at("sync", &path)?;
        self.file.persist(&path).map_err(|e| e.error).at("create", &path)?;
        fsx::sync_directory(&self.store.root.blobs())?;
        Ok((digest, self.size))
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;

    #[test]
    fn gets_its_name_at_the_end_or_vanishes() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let store = Store::open(&root).unwrap();
        let mut dropped = store.stage().unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        let mut staged = store.stage().unwrap();
        staged.write_all(b"wh").unwrap();
        staged.write_all(b"ole").unwrap();
        let (digest, size) = staged.finish().unwrap();
        assert_eq!((digest.clone(), size), (super::super::digest_of(b"whole"), 5));
        assert_eq!(fsx::read(&store.blob_path(&digest)).unwrap(), b"whole");
        assert!(fsx::list(&root.incoming()).unwrap().is_empty());
    }
}
