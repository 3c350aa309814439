//! Backup and restore: a volume as a tar archive.

use super::options::Backing;
use super::{Error, Paths, Result, Users, find, heal};
use crate::sys::{pack, resolve, unpack};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::sys;
use rustix::fs::{Mode, OFlags};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Writes everything in a volume, and the volume's own owner and mode, as a tar archive.
///
/// A container that runs may go on changing what is written: stop it first where that matters.
pub fn export(root: &Root, name: &str, out: &mut dyn Write) -> Result<()> {
    let volume = find(root, name)?;
    let paths = Paths::of(root, name)?;
    drop(heal(&paths, &volume, paths.lock()?)?);
    super::mount(root, &volume)?;
    as_owner();
    let failed = |source: std::io::Error| Error::Export { name: name.to_owned(), source };
    let data = volume.data(root)?;
    let top = resolve::open_root(&data).map_err(|e| failed(e.into()))?;
    pack::pack(&top, Path::new("."), out).map_err(failed)
}

/// Unpacks an archive, which may be hostile, into a volume.
///
/// Into an empty volume all or nothing is restored, however the process ends; in one that has files the archive's
/// take the place of those of the same names. No running container may use it.
pub fn import(root: &Root, name: &str, archive: &mut dyn Read) -> Result<()> {
    let volume = find(root, name)?;
    let paths = Paths::of(root, name)?;
    super::mount(root, &volume)?;
    as_owner();
    let lock = heal(&paths, &volume, paths.lock()?)?;
    let running: Vec<String> = match Users::read(root) {
        Ok(users) => users.of(name).filter(|u| u.is_alive).map(|u| u.name.clone()).collect(),
        Err(_) => vec!["a container whose record cannot be read".to_owned()],
    };
    if !running.is_empty() {
        return Err(Error::Running { name: name.to_owned(), users: running });
    }
    let data = volume.data(root)?;
    let whole = volume.backing()? == Backing::Folder && fsx::list(&data)?.is_empty();
    if whole {
        fsx::write(&paths.filling(), "")?;
    }
    let result = fill(&open(&data, name)?, name, archive);
    if !whole {
        return result;
    }
    match result {
        Ok(()) => Ok(fsx::remove_file(&paths.filling())?),
        Err(error) => {
            heal(&paths, &volume, lock)?;
            Err(error)
        }
    }
}

fn fill(top: &OwnedFd, name: &str, archive: &mut dyn Read) -> Result<()> {
    let options = unpack::Options { owners: true, top: true };
    unpack::unpack(archive, top.as_fd(), options).map_err(|(path, source)| Error::Import {
        name: name.to_owned(),
        path,
        source,
    })
}

fn open(path: &Path, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| Error::Export { name: name.to_owned(), source: e.into() })
}

/// As the root of a user namespace an ordinary user reads and changes also files whose modes forbid it. Where that is not
/// to be had, those files are named in the error.
fn as_owner() {
    if !sys::is_superuser() {
        let _ = sys::enter_user_namespace();
    }
}
