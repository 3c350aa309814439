//! Giving a tree to somebody.

use rustix::fs::{self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd};

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Gives a file (`O_PATH` will do), or a directory with all that is in it, to a user and a group. No symbolic link is followed, not even by
/// somebody who changes the tree meanwhile; what is theirs already is not touched.
/// A set-user-id program loses that bit with its owner.
pub fn give(top: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    let top = top.as_fd();
    let stat = fs::fstat(top)?;
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
        fs::chownat(top, c"", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(());
    }
    let directory = fs::openat(top, c".", FOLDER, Mode::empty())?;
    contents(directory.as_fd(), uid, gid)
}

fn contents(directory: BorrowedFd, uid: u32, gid: u32) -> Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // it was deleted meanwhile
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if (stat.st_uid, stat.st_gid) != (uid, gid) {
            let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
            fs::chownat(directory, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            match fs::openat(directory, name, FOLDER, Mode::empty()) {
                Ok(below) => contents(below.as_fd(), uid, gid)?,
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}
