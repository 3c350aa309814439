//! Modules compiled ahead of time: `wasm-cache/<engine hash>/<sha256 of the module>.cwasm`.
//!
//! Loading one runs whatever machine code it holds, so the directory belongs to Knarr's user alone (0700), and no
//! guest can reach it: it lies outside every root file system and is opened before the guest's process is confined.
//! Files appear complete (temporary name, sync, rename), since wasmtime checks a file's header but not its code.
//!
//! Hashing an 18 MB module at every start would cost more than everything else, so `by-file/` remembers the hash of
//! files that cannot change: those in `layers/`. A file's identity is its device, inode, size and both times; the
//! change time cannot be set by anyone.

use super::error::Error;
use knarr_core::root::Root;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::PathBuf;

/// The compiled modules of one engine configuration.
pub(super) struct Cache {
    directory: PathBuf,
}

/// Where a module's compiled form is, or will be.
pub(super) struct Entry {
    pub path: PathBuf,
    /// To be linked to [`Self::path`] when it is there.
    by_file: Option<PathBuf>,
}

impl Cache {
    pub fn new(root: &Root, compatibility: &str) -> Self {
        Self { directory: root.wasm_cache().join(compatibility) }
    }

    /// The entry of a module. `immutable` is the metadata of the file in `layers/` that holds it; without it the
    /// content is hashed.
    pub fn entry(&self, module: &File, immutable: Option<&Metadata>) -> Result<Entry, Error> {
        let by_file = immutable.map(|m| self.directory.join("by-file").join(identity(m)));
        if let Some(link) = &by_file
            && let Ok(name) = rustix::fs::readlink(link, Vec::new())
            && let Some(name) = name.to_str().ok().and_then(|n| n.strip_prefix("../"))
        {
            return Ok(Entry { path: self.directory.join(name), by_file: None });
        }
        let digest = digest(module).map_err(|e| Error::system("read the module", e))?;
        Ok(Entry { path: self.directory.join(format!("{digest}.cwasm")), by_file })
    }

    /// Makes the directories, readable by their owner only.
    pub fn create(&self) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let by_file = self.directory.join("by-file");
        builder
            .create(&by_file)
            .map_err(|e| Error::system(format!("create {}", by_file.display()), e))
    }

    /// A file for the compiler's output, in the cache's own file system.
    pub fn temporary(&self) -> Result<tempfile::NamedTempFile, Error> {
        tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(&self.directory)
            .map_err(|e| Error::system(format!("write in {}", self.directory.display()), e))
    }
}

impl Entry {
    /// Moves a finished file to its place. Synced first: after a power cut there is a whole file or none.
    pub fn publish(&self, output: tempfile::NamedTempFile) -> Result<(), Error> {
        let failed = |e: std::io::Error| Error::system(format!("write {}", self.path.display()), e);
        output.as_file().sync_data().map_err(failed)?;
        output.persist(&self.path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// Remembers which file this is the compiled form of.
    pub fn remember(&self) -> Result<(), Error> {
        let (Some(link), Some(name)) = (&self.by_file, self.path.file_name()) else {
            return Ok(());
        };
        match std::os::unix::fs::symlink(PathBuf::from("..").join(name), link) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(Error::system(format!("write {}", link.display()), e)),
        }
    }
}

fn identity(m: &Metadata) -> String {
    format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
        m.dev(),
        m.ino(),
        m.size(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec()
    )
}

fn digest(file: &File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                offset += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
