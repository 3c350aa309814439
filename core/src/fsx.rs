//! File operations whose errors name the operation and the path.
//!
//! Only for paths that Knarr computed itself ([`crate::root::Root`]). What comes from an image, a build
//! context or a guest goes through `cap_std::fs::Dir` or `RESOLVE_IN_ROOT` instead.
#![allow(clippy::disallowed_methods)] // the one place that may call std::fs

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct Error {
    /// A verb phrase: `read`, `create the directory`, …
    pub operation: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

pub type Result<T> = std::result::Result<T, Error>;

impl crate::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("run it as the user who owns the directory, or choose one with --root".into())
            }
            _ => crate::hint::of_io(&self.source),
        }
    }
}

/// Attaches operation and path to an `io::Result`.
pub trait Context<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| Error { operation, path: path.to_owned(), source: e.into() })
    }
}

impl Error {
    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The file system takes no changes.
    pub fn is_read_only(&self) -> bool {
        self.kind() == io::ErrorKind::ReadOnlyFilesystem
    }
}

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).at("read", path)
}

pub fn read_to_string(path: &Path) -> Result<String> {
    fs::read_to_string(path).at("read", path)
}

/// Reads a file that may be absent.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("read", path),
    }
}

/// The size of a file that may be absent.
pub fn size_optional(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("inspect", path),
    }
}

/// Writes in place: for files that nobody else reads yet. Elsewhere use [`replace`].
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, bytes).at("write", path)
}

pub fn open(path: &Path) -> Result<File> {
    File::open(path).at("open", path)
}

/// Opens with options of the caller's choice.
pub fn open_with(path: &Path, options: &OpenOptions) -> Result<File> {
    options.open(path).at("open", path)
}

pub fn create(path: &Path) -> Result<File> {
    File::create(path).at("create", path)
}

/// Creates a file that must not exist yet (`O_EXCL`): how a name or a lease is claimed.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).at("create", path)?;
    file.write_all(bytes).at("write", path)
}

/// Whether a replaced file must survive a power cut, or only a crash of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Rename only: a reader sees the old or the new content, a power cut may lose the new one.
    Process,
    /// `fsync` of the file and of its directory: for what cannot be made again.
    Disk,
}

/// How the names of files begin that [`replace`] has not finished.
pub const TEMPORARY: &str = ".tmp-";

/// Replaces `path` atomically: readers see the old content or the new, never a mixture.
///
/// The guarantee ends at the file system: over a network file system rename may not be atomic.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(directory)
        .at("create a temporary file in", directory)?;
    file.write_all(bytes).at("write", path)?;
    if durability == Durability::Disk {
        file.as_file().sync_all().at("sync", path)?;
    }
    file.persist(path).map_err(|e| e.error).at("replace", path)?;
    if durability == Durability::Disk {
        sync_directory(directory)?;
    }
    Ok(())
}

/// Makes the entries of a directory (a rename, a new file) survive a power cut.
pub fn sync_directory(path: &Path) -> Result<()> {
    open(path)?.sync_all().at("sync", path)
}

/// Makes a file that was written at once, its name, and the folders above it up to `top` survive a power cut.
pub fn sync_up_to(path: &Path, top: &Path) -> Result<()> {
    open(path)?.sync_all().at("sync", path)?;
    for folder in path.ancestors().skip(1) {
        sync_directory(folder)?;
        if folder == top {
            break;
        }
    }
    Ok(())
}

pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir(path).at("create the directory", path)
}

pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).at("create the directory", path)
}

pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).at("rename", from)
}

/// Removes a file; one that is gone already is removed.
pub fn remove_file(path: &Path) -> Result<()> {
    absent_is_ok(fs::remove_file(path)).at("remove", path)
}

/// Removes a tree; one that is gone already is removed.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    absent_is_ok(fs::remove_dir_all(path)).at("remove", path)
}

/// The names in a directory, sorted; an absent directory has none.
pub fn list(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).at("list", path),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.at("list", path)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn absent_is_ok(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        replace(&path, b"1", Durability::Disk).unwrap();
        replace(&path, b"2", Durability::Process).unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "2");
        assert_eq!(list(directory.path()).unwrap(), ["a"]);
    }

    #[test]
    fn an_error_names_operation_and_path() {
        let error = read(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/x");
    }
}
