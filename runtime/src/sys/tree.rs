//! Copying a tree with everything that Linux keeps about a file: owner, mode, times, extended attributes, hard
//! links, device nodes, holes.
//!
//! Each entry is opened relative to its open parent and no symbolic link is followed: a tree that somebody changes
//! meanwhile leads nowhere else.

use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// How a copy differs from its original.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// User and group of everything that is copied; `None` keeps them.
    pub owner: Option<(u32, u32)>,
    /// Directories that exist are kept and added to, other entries that exist are replaced. Without it they are errors.
    pub merge: bool,
}

/// What could not be copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Below the top.
    pub path: PathBuf,
    pub errno: Errno,
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        let error = Self::from(failure.errno);
        match failure.path.as_os_str().is_empty() {
            true => error,
            false => Self::new(error.kind(), format!("{}: {error}", failure.path.display())),
        }
    }
}

/// Copies what is in `from` into `to`, and the attributes of `from` itself.
pub fn copy(from: impl AsFd, to: impl AsFd, policy: Policy) -> Result<(), Failure> {
    let mut copy = Copy::new(to.as_fd(), policy);
    let result = copy
        .contents(from.as_fd(), to.as_fd())
        .and_then(|()| copy.attributes_of_directory(from.as_fd(), to.as_fd()));
    result.map_err(|errno| Failure { path: copy.path, errno })
}

/// Copies what is in `from` into `to`, which stays as it is otherwise.
pub fn copy_contents(from: impl AsFd, to: impl AsFd, policy: Policy) -> Result<(), Failure> {
    let mut copy = Copy::new(to.as_fd(), policy);
    let result = copy.contents(from.as_fd(), to.as_fd());
    result.map_err(|errno| Failure { path: copy.path, errno })
}

/// Copies one open entry (`O_PATH` will do) to a name in a directory.
pub fn copy_entry(
    from: impl AsFd,
    to: impl AsFd,
    name: &CStr,
    policy: Policy,
) -> Result<(), Failure> {
    let mut copy = Copy::new(to.as_fd(), policy);
    copy.path.push(os_str(name));
    let result = fs::fstat(&from).and_then(|stat| {
        let reopen = |flags| {
            fs::open(super::resolve::path_of(&from), flags | OFlags::CLOEXEC, Mode::empty())
        };
        copy.node(
            &stat,
            to.as_fd(),
            name,
            &mut Original {
                open: &|flags| reopen(flags),
                link: &|| fs::readlinkat(&from, c"", Vec::new()),
            },
        )
    });
    result.map_err(|errno| Failure { path: copy.path, errno })
}

struct Copy<'a> {
    policy: Policy,
    /// Where the first name of a file with several names was copied to, relative to `top`.
    links: HashMap<(u64, u64), PathBuf>,
    top: BorrowedFd<'a>,
    path: PathBuf,
}

/// How to get at an entry that is to be copied.
struct Original<'a> {
    open: &'a dyn Fn(OFlags) -> Result<OwnedFd, Errno>,
    link: &'a dyn Fn() -> Result<CString, Errno>,
}

impl<'a> Copy<'a> {
    fn new(top: BorrowedFd<'a>, policy: Policy) -> Self {
        Self { policy, links: HashMap::new(), top, path: PathBuf::new() }
    }

    fn contents(&mut self, from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        for name in names {
            self.path.push(os_str(&name));
            let stat = match fs::statat(from, &name, AtFlags::SYMLINK_NOFOLLOW) {
                // a running container goes on changing its files
                Err(Errno::NOENT) => {
                    self.path.pop();
                    continue;
                }
                other => other?,
            };
            let mut original = Original {
                open: &|flags| fs::openat(from, &name, flags | OPEN, Mode::empty()),
                link: &|| fs::readlinkat(from, &name, Vec::new()),
            };
            self.node(&stat, to, &name, &mut original)?;
            self.path.pop();
        }
        Ok(())
    }

    fn node(
        &mut self,
        stat: &Stat,
        to: BorrowedFd,
        name: &CStr,
        original: &mut Original,
    ) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let several = stat.st_nlink > 1 && kind != FileType::Directory;
        let key = (stat.st_dev, stat.st_ino);
        if kind != FileType::Directory && self.policy.merge {
            remove_other(to, name)?;
        }
        if several && let Some(first) = self.links.get(&key) {
            return fs::linkat(self.top, first, to, name, AtFlags::empty());
        }
        let stat = &self.owned(stat);
        match kind {
            FileType::Directory => {
                let is_new = match fs::mkdirat(to, name, Mode::RWXU) {
                    Err(Errno::EXIST) if self.policy.merge => false,
                    other => other.map(|()| true)?,
                };
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let from = (original.open)(flags)?;
                // ENOTDIR if something else has that name, a symbolic link included
                let to = fs::openat(to, name, flags | OPEN, Mode::empty())?;
                self.contents(from.as_fd(), to.as_fd())?;
                return match is_new {
                    true => self.attributes_of_directory(from.as_fd(), to.as_fd()),
                    false => Ok(()),
                };
            }
            FileType::RegularFile => {
                let source = (original.open)(OFlags::RDONLY)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OPEN;
                let target = fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
                copy_content(&source, &target)?;
                copy_attributes(source.as_fd(), target.as_fd())?;
                finish(target.as_fd(), stat)?;
            }
            FileType::Symlink => {
                fs::symlinkat((original.link)()?, to, name)?;
                own_by_name(to, name, stat)?;
                set_times(to, name, stat)?;
            }
            _ => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                match fs::mknodat(to, name, kind, mode, stat.st_rdev) {
                    // an ordinary user may make no devices, and could not open them either
                    Err(Errno::PERM) => return Ok(()),
                    other => other?,
                }
                own_by_name(to, name, stat)?;
                match fs::chmodat(to, name, mode, AtFlags::empty()) {
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(e) => return Err(e),
                }
                set_times(to, name, stat)?;
            }
        }
        if several {
            self.links.insert(key, self.path.clone());
        }
        Ok(())
    }

    fn attributes_of_directory(&self, from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
        let stat = self.owned(&fs::fstat(from)?);
        copy_attributes(from, to)?;
        finish(to, &stat)
    }

    fn owned(&self, stat: &Stat) -> Stat {
        let mut stat = *stat;
        if let Some((user, group)) = self.policy.owner {
            (stat.st_uid, stat.st_gid) = (user, group);
        }
        stat
    }
}

/// Makes room for an entry that is no directory; directories are not replaced.
fn remove_other(directory: BorrowedFd, name: &CStr) -> Result<(), Errno> {
    match fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Copies data only, not the holes between; shares the blocks where the file system can.
fn copy_content(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    if fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let size = fs::fstat(from)?.st_size.unsigned_abs();
    fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let start = match fs::seek(from, fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // only a hole is left
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => at,
            Err(e) => return Err(e),
        };
        let end = fs::seek(from, fs::SeekFrom::Hole(start)).unwrap_or(size);
        copy_range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn copy_range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Errno> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let length = usize::try_from(end - read_at).unwrap_or(1 << 30);
        match fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), length) {
            Ok(0) => return Ok(()), // it was truncated meanwhile
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_bytes(from, to, read_at, end);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn copy_bytes(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Errno> {
    let mut buffer = vec![0; 1 << 16];
    let mut at = start;
    while at < end {
        let want = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let got = rustix::io::pread(from, &mut buffer[..want], at)?;
        if got == 0 {
            break;
        }
        let mut written = 0;
        while written < got {
            written += rustix::io::pwrite(to, &buffer[written..got], at + written as u64)?;
        }
        at += got as u64;
    }
    Ok(())
}

fn copy_attributes(from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
    let mut names = vec![0; 4096];
    let length = loop {
        match fs::flistxattr(from, &mut names) {
            Ok(length) => break length,
            Err(Errno::RANGE) => names.resize(names.len() * 2, 0),
            Err(Errno::OPNOTSUPP) => return Ok(()),
            Err(e) => return Err(e),
        }
    };
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        // overlayfs's own notes mean nothing elsewhere
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0; 1 << 16];
        let length = fs::fgetxattr(from, name, &mut value)?;
        match fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            // what this file system or this user cannot have is left out, as cp does
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Owner first: changing it clears the setuid bits.
fn finish(file: BorrowedFd, stat: &Stat) -> Result<(), Errno> {
    match fs::fchown(file, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid))) {
        // in a user namespace there is only one owner
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(e) => return Err(e),
    }
    fs::fchmod(file, Mode::from_raw_mode(stat.st_mode))?;
    fs::futimens(file, &times(stat))
}

fn own_by_name(directory: BorrowedFd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    match fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => Ok(()),
        Err(e) => Err(e),
    }
}

fn set_times(directory: BorrowedFd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    fs::utimensat(directory, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| fs::Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn os_str(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::fsx;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn keeps_what_a_tree_has() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fsx::create_dir_all(&from.join("a/b")).unwrap();
        fsx::create_dir(&to).unwrap();
        fsx::write(&from.join("a/file"), "content").unwrap();
        std::fs::hard_link(from.join("a/file"), from.join("a/b/link")).unwrap();
        symlink("/etc/passwd", from.join("absolute")).unwrap();
        let sparse = fsx::create(&from.join("sparse")).unwrap();
        sparse.set_len(10 << 30).unwrap();
        let mode = std::fs::Permissions::from_mode(0o4711);
        std::fs::set_permissions(from.join("a/file"), mode).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &Path| fs::open(path, flags, Mode::empty()).unwrap();
        copy(open(&from), open(&to), Policy::default()).unwrap();
        let file = std::fs::metadata(to.join("a/file")).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o4711);
        assert_eq!(file.ino(), std::fs::metadata(to.join("a/b/link")).unwrap().ino());
        assert_eq!(std::fs::read_link(to.join("absolute")).unwrap(), Path::new("/etc/passwd"));
        let sparse = std::fs::metadata(to.join("sparse")).unwrap();
        assert_eq!((sparse.len(), sparse.blocks()), (10 << 30, 0));
        assert_eq!(fsx::read_to_string(&to.join("a/b/link")).unwrap(), "content");
        let again = copy(open(&from), open(&to), Policy::default()).unwrap_err();
        assert_eq!(again.errno, Errno::EXIST);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn merging_replaces_files_and_never_follows() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for folder in ["from/a", "to/a", "outside"] {
            fsx::create_dir_all(&path(folder)).unwrap();
        }
        fsx::write(&path("from/a/new"), "new").unwrap();
        fsx::write(&path("from/link"), "mine").unwrap();
        fsx::write(&path("to/a/old"), "old").unwrap();
        fsx::write(&path("outside/secret"), "secret").unwrap();
        symlink(path("outside/secret"), path("to/link")).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |name: &str| fs::open(path(name), flags, Mode::empty()).unwrap();
        let policy = Policy { merge: true, owner: None };
        copy_contents(open("from"), open("to"), policy).unwrap();
        assert_eq!(fsx::read_to_string(&path("to/a/old")).unwrap(), "old");
        assert_eq!(fsx::read_to_string(&path("to/a/new")).unwrap(), "new");
        assert_eq!(fsx::read_to_string(&path("to/link")).unwrap(), "mine");
        assert_eq!(fsx::read_to_string(&path("outside/secret")).unwrap(), "secret");
        // a directory of the original where the copy has a link to one
        fsx::remove_dir_all(&path("to/a")).unwrap();
        symlink(path("outside"), path("to/a")).unwrap();
        let failure = copy_contents(open("from"), open("to"), policy).unwrap_err();
        assert!(matches!(failure.errno, Errno::NOTDIR | Errno::LOOP), "{failure:?}");
        assert!(!path("outside/new").exists());
    }
}
