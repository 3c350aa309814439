//! Unpacking a tar archive, which may be hostile, into an open directory: no name in it leads out, and no symbolic
//! link is followed on the way, not even one that the archive itself has just made.

use knarr_core::store::archive::{Entry, Error, Kind, Reader};
use knarr_core::sys::{is_portable_xattr, os_path};
use rustix::fs::{
    self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

/// What could not be unpacked, by its name in the archive.
pub type Failure = (String, io::Error);

const NOFOLLOW: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Owners as the archive has them, otherwise root.
    pub owners: bool,
    /// The directory itself gets the attributes that the archive has for `.`.
    pub top: bool,
}

pub fn unpack(
    input: &mut dyn Read,
    directory: BorrowedFd,
    options: Options,
) -> Result<(), Failure> {
    let whole = |e| ("the archive".to_owned(), io_error(e));
    // directories get their times last, or what is put into them would change them
    let mut directories = Vec::new();
    let mut top = None;
    let mut reader = Reader::new(BufReader::new(input));
    while let Some(entry) = reader.next_entry().map_err(whole)? {
        let path = os_path(&entry.name);
        let failed = |e: io::Error| (path.display().to_string(), e);
        let Some((parent, name)) = place(directory, path).map_err(failed)? else {
            if options.top && entry.kind == Kind::Directory {
                top = Some(entry);
            }
            continue;
        };
        make(&entry, &mut reader, directory, &parent, &name).map_err(failed)?;
        if entry.kind == Kind::HardLink {
            continue;
        }
        // not by name: it may have become a link by now
        let made = fs::openat(&parent, &name, OFlags::PATH | NOFOLLOW, Mode::empty());
        let made = made.map_err(|e| failed(e.into()))?;
        attributes(&entry, made.as_fd(), options.owners).map_err(failed)?;
        match entry.kind {
            Kind::Directory => directories.push((entry.name, entry.mtime)),
            _ => set_times(made.as_fd(), entry.mtime).map_err(failed)?,
        }
    }
    for (name, mtime) in directories {
        let Ok(Some((parent, own))) = place(directory, os_path(&name)) else { continue };
        // what a later entry put in its place has times of its own
        if let Ok(made) = fs::openat(&parent, &own, OFlags::DIRECTORY | NOFOLLOW, Mode::empty()) {
            set_times(made.as_fd(), mtime)
                .map_err(|e| (os_path(&name).display().to_string(), e))?;
        }
    }
    // whoever writes the archive into a pipe may finish it
    reader.drain().map_err(whole)?;
    if let Some(entry) = top {
        let failed = |e| (".".to_owned(), e);
        attributes(&entry, directory, true).map_err(failed)?;
        set_times(directory, entry.mtime).map_err(failed)?;
    }
    Ok(())
}

/// The directory an entry belongs in, made if it is missing, and its name there. `None` for the top itself.
fn place(top: BorrowedFd, path: &Path) -> io::Result<Option<(OwnedFd, CString)>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(CString::new(name.as_bytes())?),
            Component::ParentDir => return Err(Errno::XDEV.into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let Some(name) = names.pop() else { return Ok(None) };
    let mut directory = top.try_clone_to_owned()?;
    for name in names {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | NOFOLLOW;
        directory = match fs::openat(&directory, &name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                fs::mkdirat(&directory, &name, Mode::from_raw_mode(0o755))?;
                fs::openat(&directory, &name, flags, Mode::empty())?
            }
            other => other?,
        };
    }
    Ok(Some((directory, name)))
}

fn make(
    entry: &Entry,
    reader: &mut Reader<impl BufRead>,
    top: BorrowedFd,
    parent: &OwnedFd,
    name: &CString,
) -> io::Result<()> {
    if entry.kind == Kind::Directory {
        return match fs::mkdirat(parent, name, Mode::RWXU) {
            Err(Errno::EXIST) if is_directory(parent, name) => Ok(()),
            other => Ok(other?),
        };
    }
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let special = |kind| {
        let device = fs::makedev(entry.device.0, entry.device.1);
        Ok(fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)?)
    };
    match entry.kind {
        Kind::Directory => Ok(()),
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | NOFOLLOW;
            let file = File::from(fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
            let write = |at, bytes: &[u8]| file.write_all_at(bytes, at).map_err(Error::Read);
            reader.data(entry, write).map_err(io_error)?;
            file.set_len(entry.size)
        }
        Kind::Symlink => Ok(fs::symlinkat(&entry.link[..], parent, name)?),
        Kind::HardLink => {
            let (from, from_name) = place(top, os_path(&entry.link))?
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            Ok(fs::linkat(&from, &from_name, parent, name, AtFlags::empty())?)
        }
        Kind::Character => special(FileType::CharacterDevice),
        Kind::Block => special(FileType::BlockDevice),
        Kind::Fifo => special(FileType::Fifo),
    }
}

/// Everything but the times. Owner first: changing it clears the setuid bits and capabilities.
fn attributes(entry: &Entry, made: BorrowedFd, owners: bool) -> io::Result<()> {
    let path = super::resolve::path_of(made);
    let (user, group) = match owners {
        true => (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid)),
        false => (Uid::ROOT, Gid::ROOT),
    };
    match fs::chown(&path, Some(user), Some(group)) {
        // in a user namespace there is only one owner, and for an ordinary user as well
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(e) => return Err(e.into()),
    }
    if entry.kind != Kind::Symlink {
        fs::chmod(&path, Mode::from_raw_mode(entry.mode))?;
    }
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_portable_xattr(name)) {
        match fs::setxattr(&path, &name[..], value, XattrFlags::empty()) {
            // what this file system or this user cannot have is left out, as tar does
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn is_directory(parent: impl AsFd, name: &CString) -> bool {
    fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn set_times(made: BorrowedFd, (seconds, nanoseconds): (i64, u32)) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(fs::utimensat(CWD, super::resolve::path_of(made), &times, AtFlags::empty())?)
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Read(error) => error,
        other => io::Error::other(other),
    }
}
