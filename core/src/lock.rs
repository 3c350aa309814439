//! Locks between processes: `flock` on a file, released by the kernel when its holder dies.

use crate::fsx::{self, Context};
use crate::sys;
use std::fs::{File, TryLockError};
use std::path::Path;

/// A held lock. Dropping it, or the death of the process, releases it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits until this process alone holds the lock.
    pub fn exclusive(path: &Path) -> fsx::Result<Self> {
        let file = open(path)?;
        file.lock().at("lock", path)?;
        Ok(Self { file })
    }

    /// Waits until only other shared holders are left.
    pub fn shared(path: &Path) -> fsx::Result<Self> {
        let file = open(path)?;
        file.lock_shared().at("lock", path)?;
        Ok(Self { file })
    }

    /// Takes the lock if it is free; `None` if somebody holds it.
    pub fn try_exclusive(path: &Path) -> fsx::Result<Option<Self>> {
        try_exclusive(open(path)?, path)
    }

    /// Waits until this process alone holds the lock of a directory, which costs no file. `NotFound` if there is none.
    pub fn exclusive_directory(path: &Path) -> fsx::Result<Self> {
        let file = open_directory(path)?;
        file.lock().at("lock", path)?;
        Ok(Self { file })
    }

    /// Takes a directory's lock if it is free; `None` if somebody holds it.
    pub fn try_exclusive_directory(path: &Path) -> fsx::Result<Option<Self>> {
        try_exclusive(open_directory(path)?, path)
    }

    /// Waits until only other shared holders of a directory's lock are left.
    pub fn shared_directory(path: &Path) -> fsx::Result<Self> {
        let file = open_directory(path)?;
        file.lock_shared().at("lock", path)?;
        Ok(Self { file })
    }

    /// The locked file: a child that inherits its descriptor holds the lock as well.
    pub fn file(&self) -> &File {
        &self.file
    }
}

fn try_exclusive(file: File, path: &Path) -> fsx::Result<Option<Lock>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e).at("lock", path),
    }
}

fn open_directory(path: &Path) -> fsx::Result<File> {
    let file = fsx::open(path)?;
    match file.metadata().at("inspect", path)?.is_dir() {
        true => Ok(file),
        false => Err(std::io::Error::from(std::io::ErrorKind::NotADirectory)).at("lock", path),
    }
}

fn open(path: &Path) -> fsx::Result<File> {
    // who can read it can hold it
    match sys::open_private(path) {
        // Who only reads needs no more. Where there is no file nobody can make one: the folder stands for it.
        Err(e) if e.is_read_only() => fsx::open(path).or_else(|absent| match path.parent() {
            Some(folder) if absent.kind() == std::io::ErrorKind::NotFound => fsx::open(folder),
            _ => Err(absent),
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exclusive_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = Lock::exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
        let held = Lock::exclusive_directory(directory.path()).unwrap();
        assert!(Lock::try_exclusive_directory(directory.path()).unwrap().is_none());
        drop(held);
        drop(Lock::shared_directory(directory.path()).unwrap());
        assert!(Lock::try_exclusive_directory(&path).is_err(), "a file is none");
    }
}
