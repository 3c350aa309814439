//! Modules compiled ahead of time: `wasm-cache/<engine hash>/<sha256 of the module>.cwasm`.
//!
//! Loading one runs whatever machine code it holds, so the directory belongs to Knarr's user alone (0700), and no
//! guest can reach it: it lies outside every root file system and is opened before the guest's process is confined.
//! Files appear complete (temporary name, sync, rename), since wasmtime checks a file's header but not its code.
//!
//! Hashing an 18 MB module at every start would cost more than everything else, so `by-layer/<layer>/` remembers the hash
//! of files that cannot change: those in `layers/`. A file's identity is its device, inode, size and both times; the
//! change time cannot be set by anyone.

mod tidy;

pub use tidy::prune;

use super::config::Code;
use super::error::Error;
use super::origin::Origin;
use knarr_core::root::Root;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// How compiled files' names end.
const PLAIN: &str = ".cwasm";
const ASYNC: &str = ".async.cwasm";

/// The compiled modules of one engine configuration.
pub(super) struct Cache {
    directory: PathBuf,
}

/// Where a module's compiled form is, or will be.
pub(super) struct Entry {
    directory: PathBuf,
    /// SHA-256 of the module; with [`Self::known`] not computed.
    digest: String,
    /// The file's name and kind, where the module's identity told it.
    known: Option<(String, Code)>,
    /// To be linked to the file when it is there.
    link: Option<PathBuf>,
}

impl Cache {
    pub fn new(root: &Root, compatibility: &str) -> Self {
        Self { directory: root.wasm_cache().join(compatibility) }
    }

    /// The compiled file of a module that has been run before.
    pub fn known(&self, origin: &Origin) -> Option<(PathBuf, Code)> {
        let (name, code) = linked(&self.link(origin))?;
        Some((self.directory.join(name), code))
    }

    /// The entry of a module; without an origin in a layer its content is hashed.
    pub fn entry(&self, module: &File, origin: Option<&Origin>) -> Result<Entry, Error> {
        let link = origin.map(|origin| self.link(origin));
        let directory = self.directory.clone();
        if let Some(link) = &link
            && let Some((name, code)) = linked(link)
        {
            let known = Some((name, code));
            return Ok(Entry { directory, digest: String::new(), known, link: Some(link.clone()) });
        }
        let digest = digest(module).map_err(|e| Error::system("read the module", e))?;
        Ok(Entry { directory, digest, known: None, link })
    }

    fn layers(&self) -> PathBuf {
        self.directory.join("by-layer")
    }

    fn link(&self, origin: &Origin) -> PathBuf {
        self.layers().join(&origin.layer).join(identity(&origin.metadata))
    }

    /// Makes the directories, readable by their owner only.
    pub fn create(&self) -> Result<(), Error> {
        create(&self.layers())
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
    /// The compiled files that are there, most likely one first.
    pub fn present(&self) -> Vec<(PathBuf, Code)> {
        if let Some((name, code)) = &self.known {
            return vec![(self.directory.join(name), *code)];
        }
        let paths = [Code::Plain, Code::Async].map(|code| (self.path(code), code));
        paths.into_iter().filter(|(path, _)| path.exists()).collect()
    }

    /// Where compiled code of a kind belongs.
    fn path(&self, code: Code) -> PathBuf {
        let suffix = match code {
            Code::Plain => PLAIN,
            Code::Async => ASYNC,
        };
        self.directory.join(format!("{}{suffix}", self.digest))
    }

    /// Moves a finished file to its place. Synced first: after a power cut there is a whole file or none.
    pub fn publish(&self, output: tempfile::NamedTempFile, code: Code) -> Result<PathBuf, Error> {
        let path = self.path(code);
        let failed = |e: std::io::Error| Error::system(format!("write {}", path.display()), e);
        output.as_file().sync_data().map_err(failed)?;
        output.persist(&path).map_err(|e| failed(e.error))?;
        self.remember(&path)?;
        Ok(path)
    }

    /// Remembers which file this module's compiled form is.
    pub fn remember(&self, path: &Path) -> Result<(), Error> {
        if self.known.is_some() {
            return Ok(());
        }
        let (Some(link), Some(name)) = (&self.link, path.file_name()) else { return Ok(()) };
        let Some(layer) = link.parent() else { return Ok(()) };
        let failed = |e| Error::system(format!("write {}", link.display()), e);
        let target = Path::new("../..").join(name);
        // afresh, as the one that is there may be from before the file was compiled anew
        let temporary = layer.join(format!(".{}", knarr_core::sys::random_name()));
        match symlink(&target, &temporary) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                create(layer)?;
                symlink(&target, &temporary).map_err(failed)?;
            }
            result => result.map_err(failed)?,
        }
        rustix::fs::rename(&temporary, link).map_err(|e| failed(e.into()))
    }

    /// The same module by its content: what its identity led to is gone or of no use.
    pub fn by_content(self, module: &File) -> Result<Self, Error> {
        if self.known.is_none() {
            return Ok(self);
        }
        let digest = digest(module).map_err(|e| Error::system("read the module", e))?;
        Ok(Self { digest, known: None, ..self })
    }
}

/// Makes a directory and those it lies in, for their owner only.
fn create(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|e| Error::system(format!("create {}", path.display()), e))
}

/// The compiled file that a link in `by-layer/` leads to.
fn linked(link: &Path) -> Option<(String, Code)> {
    let target = rustix::fs::readlink(link, Vec::new()).ok()?;
    let name = target.to_str().ok()?.strip_prefix("../../")?;
    let code = if name.ends_with(ASYNC) { Code::Async } else { Code::Plain };
    Some((name.to_owned(), code))
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
