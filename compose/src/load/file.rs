//! Files that the user or another file names: bounded, and regular ones only.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use super::error::Error;
use super::limits::FILE;
use crate::node::Place;

/// Reads a file that another file names. Devices, pipes and folders are refused: reading one may never end, or do
/// something.
pub(crate) fn named(path: &Path, place: &Place, what: &'static str) -> Result<String, Error> {
    read(path, Some(place), what)
}

/// Reads a file that the user names, which may be a pipe (`-f <(…)`) or a device (`--env-file /dev/null`).
pub(crate) fn given(path: &Path, what: &'static str) -> Result<String, Error> {
    read(path, None, what)
}

fn read(path: &Path, place: Option<&Place>, what: &'static str) -> Result<String, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => {
            Error::Missing { named: place.cloned(), what, path: path.to_owned() }
        }
        _ => Error::Read { named: place.cloned(), path: path.to_owned(), source },
    };
    // without NONBLOCK, opening a pipe would wait for a writer
    let waiting = if place.is_some() { OFlags::NONBLOCK } else { OFlags::empty() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | waiting;
    let file = open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let kind = FileType::from_raw_mode(fstat(&file).map_err(|e| failed(e.into()))?.st_mode);
    let allowed = match place {
        Some(_) => kind == FileType::RegularFile,
        None => kind != FileType::Directory,
    };
    if !allowed {
        return Err(Error::NotRegular { named: place.cloned(), path: path.to_owned() });
    }
    let bytes = bounded(File::from(file)).map_err(failed)?.ok_or_else(|| Error::TooLarge {
        named: place.cloned(),
        path: path.to_owned(),
        limit: FILE,
    })?;
    text(bytes, &path.display().to_string())
}

/// Reads what came in on standard input.
pub(crate) fn stream(input: impl Read) -> Result<String, Error> {
    let path = || "-".into();
    let bytes = bounded(input)
        .map_err(|source| Error::Read { named: None, path: path(), source })?
        .ok_or_else(|| Error::TooLarge { named: None, path: path(), limit: FILE })?;
    text(bytes, "-")
}

/// All bytes, or nothing if there are too many.
fn bounded(input: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    input.take(FILE + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= FILE).then_some(bytes))
}

fn text(bytes: Vec<u8>, file: &str) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| Error::NotText {
        file: file.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })
}
