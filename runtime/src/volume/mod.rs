//! Volumes: folders that outlive containers.
//!
//! ```text
//! <data>/volumes/<name>/volume.json   written last at create and removed first at remove
//!                       _data         what containers see
//!                       filling       a copy from an image is under way: what is there is incomplete
//!                       lock          held while one of these changes
//! ```

mod copy_up;

pub use copy_up::copy_up;

use jiff::Timestamp;
use knarr_core::fsx::{self, Context, Durability};
use knarr_core::hint::Hint;
use knarr_core::lock::Lock;
use knarr_core::record::{self, Record};
use knarr_core::root::Root;
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no volume {name:?}")]
    NotFound { name: String },
    #[error("{name:?} is not a valid volume name")]
    InvalidName { name: String },
    #[error("volume {name} is used by {}", users.join(", "))]
    InUse { name: String, users: Vec<String> },
    #[error("cannot copy the image's {target} into volume {volume}")]
    CopyUp { volume: String, target: String, source: std::io::Error },
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("'knarr volume ls' lists all volumes".into()),
            Self::InvalidName { .. } => Some(
                "begin with a letter or a digit, and go on with letters, digits, '_', '.' and '-'; \
                 a folder of the host is named by its absolute path"
                    .into(),
            ),
            Self::InUse { users, .. } => {
                Some(format!("remove the container first: knarr rm {}", users.first()?))
            }
            Self::Record(e) => e.hint(),
            _ => None,
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is known of a volume (`volume.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    pub created: Timestamp,
    /// Made for one container that named none; goes with it (`rm -v`, `--rm`).
    pub anonymous: bool,
    pub labels: BTreeMap<String, String>,
}

impl Record for Volume {
    const KIND: &'static str = "volume";
    const VERSION: u32 = 1;
}

/// The folders of one volume.
#[derive(Debug, Clone)]
struct Paths {
    folder: PathBuf,
}

impl Paths {
    fn of(root: &Root, name: &str) -> Result<Self> {
        validate(name)?;
        Ok(Self { folder: root.volumes().join(name) })
    }

    fn record(&self) -> PathBuf {
        self.folder.join("volume.json")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("_data")
    }

    fn filling(&self) -> PathBuf {
        self.folder.join("filling")
    }

    fn lock(&self) -> fsx::Result<Lock> {
        Lock::exclusive(&self.folder.join("lock"))
    }
}

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn validate(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if first && rest && (2..=255).contains(&name.len()) {
        Ok(())
    } else {
        Err(Error::InvalidName { name: name.to_owned() })
    }
}

/// The folder that containers see.
pub fn data(root: &Root, name: &str) -> Result<PathBuf> {
    Ok(Paths::of(root, name)?.data())
}

/// Makes a volume; one that exists is left as it is.
pub fn create(
    root: &Root,
    name: &str,
    anonymous: bool,
    labels: BTreeMap<String, String>,
) -> Result<Volume> {
    let paths = Paths::of(root, name)?;
    loop {
        if let Some(volume) = record::read(&paths.record())? {
            return Ok(volume);
        }
        fsx::create_dir_all(&paths.folder)?;
        let _lock = match paths.lock() {
            // somebody removed it between these two lines
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            lock => lock?,
        };
        if let Some(volume) = record::read(&paths.record())? {
            return Ok(volume);
        }
        match fsx::create_dir_all(&paths.data()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        }
        // whatever this process's umask is: the users of an image come in
        let data = paths.data();
        rustix::fs::chmod(&data, Mode::from_raw_mode(0o755)).at("set the mode of", &data)?;
        let volume = Volume { name: name.to_owned(), created: Timestamp::now(), anonymous, labels };
        record::write(&paths.record(), &volume, Durability::Process)?;
        return Ok(volume);
    }
}

pub fn find(root: &Root, name: &str) -> Result<Volume> {
    let not_found = || Error::NotFound { name: name.to_owned() };
    let Ok(paths) = Paths::of(root, name) else { return Err(not_found()) };
    record::read(&paths.record())?.ok_or_else(not_found)
}

/// All volumes, by name.
pub fn list(root: &Root) -> Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for name in fsx::list(&root.volumes())? {
        let Ok(paths) = Paths::of(root, &name) else { continue };
        match record::read::<Volume>(&paths.record())? {
            Some(volume) => volumes.push(volume),
            None => sweep(&paths)?,
        }
    }
    Ok(volumes)
}

/// Deletes what a killed process left of a volume that it made or removed.
fn sweep(paths: &Paths) -> Result<()> {
    match Lock::try_exclusive(&paths.folder.join("lock")) {
        Ok(Some(_lock)) if !paths.record().exists() => {
            Ok(knarr_core::sys::remove_tree(&paths.folder)?)
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Removes a volume that no container uses. `users` tells who does; it is asked under the volume's lock.
pub fn remove(root: &Root, name: &str, users: impl FnOnce() -> Vec<String>) -> Result<()> {
    find(root, name)?;
    let paths = Paths::of(root, name)?;
    let _lock = paths.lock()?;
    let users = users();
    if !users.is_empty() {
        return Err(Error::InUse { name: name.to_owned(), users });
    }
    fsx::remove_file(&paths.record())?;
    Ok(knarr_core::sys::remove_tree(&paths.folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_find_remove() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let volume = create(&root, "data", false, BTreeMap::new()).unwrap();
        assert_eq!(create(&root, "data", true, BTreeMap::new()).unwrap(), volume);
        assert_eq!(list(&root).unwrap(), [volume]);
        let error = remove(&root, "data", || vec!["web".into()]).unwrap_err();
        assert_eq!(error.to_string(), "volume data is used by web");
        remove(&root, "data", Vec::new).unwrap();
        assert!(matches!(find(&root, "data"), Err(Error::NotFound { .. })));
        assert!(list(&root).unwrap().is_empty());
        assert!(create(&root, "../x", false, BTreeMap::new()).is_err());
    }
}
