//! The folders of `--mount=type=cache`. They outlive builds; each is locked by the steps that use it.

use crate::build::Error;
use crate::dockerfile::Sharing;
use knarr_core::fsx;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::store::digest_of;
use knarr_core::sys::{self, Attributes, Tree};
use std::io;
use std::path::PathBuf;

/// A folder that a step may use now.
#[derive(Debug)]
pub struct CacheMount {
    pub folder: PathBuf,
    /// It was empty: what it is to hold at first may be put there.
    pub is_new: bool,
    _lock: Lock,
}

/// How many builds may have a private folder each under one id.
const PRIVATE_LIMIT: usize = 1000;

pub fn folder(root: &Root) -> PathBuf {
    root.build_cache().join("mounts")
}

/// Takes the folder of an id.
pub fn take(
    root: &Root,
    id: &str,
    sharing: Sharing,
    (uid, gid, mode): (u32, u32, u32),
) -> Result<CacheMount, Error> {
    let name = digest_of(id.as_bytes()).digest()[..32].to_owned();
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
        let is_new = !folder.exists();
        if is_new {
            // under a name of its own first: another step may share it
            let making = place.join(format!("fs.{}", sys::random_name()));
            fsx::create_dir(&making)?;
            let failed = |source| Error::Content {
                operation: "create",
                path: making.display().to_string(),
                place: "of a cache mount".into(),
                source,
            };
            let tree = Tree::open(&making, sys::is_superuser()).map_err(failed)?;
            let attributes = Attributes { mode, uid, gid, mtime: None, xattrs: &[] };
            tree.set_attributes(tree.root(), &attributes).map_err(failed)?;
            fsx::write(&place.join("id"), id)?;
            match sys::rename_new(&making, &folder) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    fsx::remove_dir_all(&making)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        return Ok(CacheMount { folder, is_new, _lock: lock });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let owner = (0, 0, 0o700);
        let first = take(&root, "x", Sharing::Private, owner).unwrap();
        let second = take(&root, "x", Sharing::Private, owner).unwrap();
        assert_ne!(first.folder, second.folder);
        assert!(first.is_new);
        drop(first);
        let again = take(&root, "x", Sharing::Locked, owner).unwrap();
        assert!(!again.is_new);
        drop(again);
        let one = take(&root, "x", Sharing::Shared, owner).unwrap();
        let two = take(&root, "x", Sharing::Shared, owner).unwrap();
        assert_eq!(one.folder, two.folder);
    }
}
