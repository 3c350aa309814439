//! Versioned JSON records: what Knarr keeps on disk about containers, networks and volumes.

use crate::fsx::{self, Durability};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// A type that is kept in a file of its own, as `{"version": N, …fields}`.
pub trait Record: Serialize + DeserializeOwned {
    /// What it is, for error messages: `container state`.
    const KIND: &'static str;
    /// Raised when a field changes its meaning; a newer file than this is refused, never guessed at.
    const VERSION: u32;
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("{} is not a valid {kind} record", path.display())]
    Malformed { kind: &'static str, path: PathBuf, source: serde_json::Error },
    #[error(
        "{} is a {kind} record of version {found}, and this knarr reads up to {supported}",
        path.display()
    )]
    Newer { kind: &'static str, path: PathBuf, found: u32, supported: u32 },
}

impl crate::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { .. } => Some("use the newer knarr that wrote it".into()),
            _ => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// Reads a record; `None` if the file is absent.
pub fn read<T: Record>(path: &Path) -> Result<Option<T>, Error> {
    let Some(bytes) = fsx::read_optional(path)? else { return Ok(None) };
    let malformed = |source| Error::Malformed { kind: T::KIND, path: path.to_owned(), source };
    let VersionOnly { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
    if version > T::VERSION {
        return Err(Error::Newer {
            kind: T::KIND,
            path: path.to_owned(),
            found: version,
            supported: T::VERSION,
        });
    }
    Ok(Some(serde_json::from_slice::<Versioned<T>>(&bytes).map_err(malformed)?.record))
}

/// Replaces a record atomically. The caller holds the lock of whoever owns the file.
pub fn write<T: Record>(path: &Path, record: &T, durability: Durability) -> Result<(), Error> {
    let bytes = serde_json::to_vec(&Versioned { version: T::VERSION, record })
        .map_err(|source| Error::Malformed { kind: T::KIND, path: path.to_owned(), source })?;
    Ok(fsx::replace(path, &bytes, durability)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Cargo {
        weight: u32,
    }

    impl Record for Cargo {
        const KIND: &'static str = "cargo";
        const VERSION: u32 = 2;
    }

    #[test]
    fn records_carry_their_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cargo.json");
        assert!(read::<Cargo>(&path).unwrap().is_none());
        write(&path, &Cargo { weight: 7 }, Durability::Process).unwrap();
        assert_eq!(fsx::read_to_string(&path).unwrap(), r#"{"version":2,"weight":7}"#);
        assert_eq!(read::<Cargo>(&path).unwrap(), Some(Cargo { weight: 7 }));
    }

    #[test]
    fn a_newer_record_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cargo.json");
        fsx::write(&path, r#"{"version":3,"tons":7}"#).unwrap();
        assert!(matches!(read::<Cargo>(&path), Err(Error::Newer { found: 3, .. })));
    }
}
