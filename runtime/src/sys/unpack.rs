//! Unpacking a tar archive, which may be hostile, into an open directory: no name in it leads out, and no symbolic
//! link is followed on the way, not even one that the archive itself has just made.

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use tar::{Archive, Entry, EntryType};

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
    let whole = |e| ("the archive".to_owned(), e);
    // directories get their times last, or what is put into them would change them
    let mut directories = Vec::new();
    let mut top = None;
    for entry in Archive::new(input).entries().map_err(whole)? {
        let mut entry = entry.map_err(whole)?;
        let path = entry.path().map_err(whole)?.into_owned();
        let failed = |e: io::Error| (path.display().to_string(), e);
        let Some((parent, name)) = place(directory, &path).map_err(failed)? else {
            if options.top && entry.header().entry_type() == EntryType::Directory {
                top = Some(own_attributes(&entry).map_err(failed)?);
            }
            continue;
        };
        let kind = make(&mut entry, directory, &parent, &name).map_err(failed)?;
        let Some(kind) = kind else { continue };
        attributes(&entry, parent.as_fd(), &name, kind, options).map_err(failed)?;
        if kind == FileType::Directory {
            directories.push((parent, name, mtime(&entry)));
        }
    }
    for (parent, name, mtime) in directories.iter().rev() {
        // one that a later entry replaced has its own
        let _ = fs::utimensat(parent, name, &times(*mtime), AtFlags::SYMLINK_NOFOLLOW);
    }
    match top {
        Some(attributes) => set_top(directory, attributes).map_err(|e| (".".to_owned(), e)),
        None => Ok(()),
    }
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

/// Makes an entry; its kind, unless it is one that needs no attributes of its own.
fn make(
    entry: &mut Entry<&mut dyn Read>,
    top: BorrowedFd,
    parent: &OwnedFd,
    name: &CString,
) -> io::Result<Option<FileType>> {
    let entry_type = entry.header().entry_type();
    if entry_type == EntryType::Directory {
        match fs::mkdirat(parent, name, Mode::RWXU) {
            Err(Errno::EXIST) if is_directory(parent, name) => {}
            other => other?,
        }
        return Ok(Some(FileType::Directory));
    }
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let link = || entry.link_name()?.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData));
    Ok(Some(match entry_type {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | NOFOLLOW;
            let file = fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
            io::copy(entry, &mut File::from(file))?;
            FileType::RegularFile
        }
        EntryType::Symlink => {
            fs::symlinkat(link()?.as_os_str(), parent, name)?;
            FileType::Symlink
        }
        EntryType::Link => {
            let target = link()?.into_owned();
            let (from, from_name) =
                place(top, &target)?.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            fs::linkat(&from, &from_name, parent, name, AtFlags::empty())?;
            return Ok(None);
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            let header = entry.header();
            let (major, minor) = (header.device_major()?, header.device_minor()?);
            let device = fs::makedev(major.unwrap_or(0), minor.unwrap_or(0));
            let kind = match entry_type {
                EntryType::Char => FileType::CharacterDevice,
                EntryType::Block => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)?;
            kind
        }
        // what tar does not know of, and notes on the archive as a whole
        _ => return Ok(None),
    }))
}

fn attributes(
    entry: &Entry<&mut dyn Read>,
    parent: BorrowedFd,
    name: &CString,
    kind: FileType,
    options: Options,
) -> io::Result<()> {
    let header = entry.header();
    let (user, group) = match options.owners {
        true => owner(entry)?,
        false => (Uid::ROOT, Gid::ROOT),
    };
    only_owner(fs::chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW))?;
    if kind == FileType::Symlink {
        return Ok(fs::utimensat(parent, name, &times(mtime(entry)), AtFlags::SYMLINK_NOFOLLOW)?);
    }
    // Not by name: it may have become a link by now. Owner first, since changing it clears the setuid bits.
    let flags = OFlags::PATH | NOFOLLOW;
    let opened = fs::openat(parent, name, flags, Mode::empty())?;
    let mode = Mode::from_raw_mode(header.mode()? & 0o7777);
    fs::chmod(super::resolve::path_of(&opened), mode)?;
    if kind != FileType::Directory {
        fs::utimensat(parent, name, &times(mtime(entry)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

type Owner = (Uid, Gid);

fn owner(entry: &Entry<&mut dyn Read>) -> io::Result<Owner> {
    let header = entry.header();
    Ok((Uid::from_raw(number(header.uid()?)?), Gid::from_raw(number(header.gid()?)?)))
}

/// In a user namespace there is only one owner, and for an ordinary user as well.
fn only_owner(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn own_attributes(entry: &Entry<&mut dyn Read>) -> io::Result<(Owner, u32, u64)> {
    Ok((owner(entry)?, entry.header().mode()? & 0o7777, mtime(entry)))
}

fn set_top(top: BorrowedFd, ((user, group), mode, mtime): (Owner, u32, u64)) -> io::Result<()> {
    only_owner(fs::fchown(top, Some(user), Some(group)))?;
    fs::fchmod(top, Mode::from_raw_mode(mode))?;
    Ok(fs::futimens(top, &times(mtime))?)
}

fn is_directory(parent: impl AsFd, name: &CString) -> bool {
    fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn number(id: u64) -> io::Result<u32> {
    u32::try_from(id).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn mtime(entry: &Entry<&mut dyn Read>) -> u64 {
    entry.header().mtime().unwrap_or(0)
}

fn times(mtime: u64) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
