//! How much room a tree takes.

use super::Result;
use knarr_core::fsx::Context;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Bytes in the files of a tree, each file once; of a tree that is absent none. What vanishes meanwhile is skipped.
pub(super) fn usage(path: &Path) -> Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let top = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(0),
        other => other.at("measure", path)?,
    };
    let mut seen = HashSet::new();
    Ok(measure(top.as_fd(), &mut seen).at("measure", path)?)
}

fn measure(directory: BorrowedFd, seen: &mut HashSet<(u64, u64)>) -> Result<u64, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut total = 0;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => match openat(directory, name, flags, Mode::empty()) {
                Ok(below) => total += measure(below.as_fd(), seen)?,
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            },
            FileType::RegularFile
                if stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) =>
            {
                total += stat.st_size.unsigned_abs();
            }
            _ => {}
        }
    }
    Ok(total)
}
