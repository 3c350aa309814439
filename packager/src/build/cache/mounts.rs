//! The folders of `--mount=type=cache`. They outlive builds; each is locked by the steps that use it.

use crate::build::Error;
use crate::build::content::Key;
use crate::dockerfile::{Owner, Sharing};
use knarr_core::fsx;
use knarr_core::image::Digest;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::store::digest_of;
use knarr_core::sys;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that a step may use now.
#[derive(Debug)]
pub struct CacheMount {
    pub folder: PathBuf,
    _lock: Lock,
}

/// What makes a cache another one, as in BuildKit: besides its id whom it is made for and what it holds at first. Builds
/// that agree on the id alone would get in each other's way.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub id: &'a str,
    pub owner: Owner,
    pub seed: Option<&'a Digest>,
}

impl Identity<'_> {
    /// The name of its folder.
    fn name(&self) -> String {
        let Owner { uid, gid, mode } = self.owner;
        let digest = match (uid, gid, mode, self.seed) {
            (None, None, None, None) => digest_of(self.id.as_bytes()),
            _ => {
                let mut key = Key::new("cache mount");
                key.text(self.id).text(&format!("{uid:?} {gid:?} {mode:?}"));
                key.text(self.seed.map(Digest::as_ref).unwrap_or_default());
                key.finish()
            }
        };
        digest.digest()[..32].to_owned()
    }
}

/// How many builds may have a private folder each under one id.
const PRIVATE_LIMIT: usize = 1000;

pub fn folder(root: &Root) -> PathBuf {
    root.build_cache().join("mounts")
}

/// Takes the folder of a cache. A new one is filled by `make`, attributes and all, before any other step can see it.
pub fn take(
    root: &Root,
    cache: Identity,
    sharing: Sharing,
    make: &mut dyn FnMut(&Path) -> Result<(), Error>,
) -> Result<CacheMount, Error> {
    let name = cache.name();
    let mounts = folder(root);
    fsx::create_dir_all(&mounts)?;
    let mut number = 0;
    loop {
        let place = match number {
            0 => mounts.join(&name),
            number => mounts.join(format!("{name}-{number}")),
        };
        fsx::create_dir_all(&place)?;
        let path = place.join("lock");
        let lock = match sharing {
            Sharing::Shared => Lock::shared(&path),
            Sharing::Locked => Lock::exclusive(&path),
            Sharing::Private => match Lock::try_exclusive(&path)? {
                Some(lock) => Ok(lock),
                None if number < PRIVATE_LIMIT => {
                    number += 1;
                    continue;
                }
                None => Lock::exclusive(&path),
            },
        };
        let lock = match lock {
            Ok(lock) => lock,
            // a prune came in between
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
        };
        if !sys::is_same_file(lock.file(), &path)? {
            continue;
        }
        let folder = place.join("fs");
        if !folder.exists() {
            // under a name of its own first: another step may share it
            let making = place.join(format!("fs.{}", sys::random_name()));
            fsx::create_dir(&making)?;
            if let Err(error) = make(&making) {
                sys::remove_tree(&making)?;
                return Err(error);
            }
            fsx::write(&place.join("id"), cache.id)?;
            match sys::rename_new(&making, &folder) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => sys::remove_tree(&making)?,
                Err(e) => return Err(e.into()),
            }
        }
        return Ok(CacheMount { folder, _lock: lock });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let mut made = 0;
        let cache = Identity { id: "x", owner: Owner::default(), seed: None };
        let mut take = |cache, sharing| {
            let mut make = |_: &Path| {
                made += 1;
                Ok(())
            };
            take(&root, cache, sharing, &mut make).unwrap()
        };
        let first = take(cache, Sharing::Private);
        let second = take(cache, Sharing::Private);
        assert_ne!(first.folder, second.folder);
        drop(first);
        let again = take(cache, Sharing::Locked);
        drop(again);
        let one = take(cache, Sharing::Shared);
        let two = take(cache, Sharing::Shared);
        assert_eq!(one.folder, two.folder);
        let owner = Owner { uid: Some(0), ..Owner::default() };
        let other = take(Identity { owner, ..cache }, Sharing::Shared);
        assert_ne!(one.folder, other.folder, "to say whose it is makes it another one");
        assert_eq!(made, 3);
    }
}
