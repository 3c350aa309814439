//! Writing a tree as a tar archive, extended attributes included.

use super::resolve;
use knarr_core::store::archive::append;
use knarr_core::sys::xattrs_of_open;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Writes an entry, and what is in it, under a name.
pub fn pack(entry: &OwnedFd, name: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut packer = Packer { out: Builder::new(out), links: HashMap::new() };
    packer.entry(entry.as_fd(), name)?;
    packer.out.finish()
}

struct Packer<'a> {
    out: Builder<&'a mut dyn Write>,
    /// The first names of files with several.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Packer<'_> {
    /// `entry` is opened with `O_PATH`.
    fn entry(&mut self, entry: BorrowedFd, name: &Path) -> io::Result<()> {
        let stat = fstat(entry)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let path = name.as_os_str().as_bytes();
        let mut header = Header::new_ustar();
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(0);
        if stat.st_nlink > 1 && kind != FileType::Directory {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                header.set_entry_type(EntryType::Link);
                let first = first.as_os_str().as_bytes();
                return append(&mut self.out, header, path, first, &[], io::empty());
            }
            self.links.insert((stat.st_dev, stat.st_ino), name.to_owned());
        }
        let xattrs = xattrs_of_open(entry)?;
        match kind {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                let folder = [path, b"/"].concat();
                append(&mut self.out, header, &folder, b"", &xattrs, io::empty())?;
                self.contents(entry, name)
            }
            FileType::RegularFile => {
                header.set_entry_type(EntryType::Regular);
                let size = stat.st_size.unsigned_abs();
                header.set_size(size);
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let opened = rustix::fs::open(resolve::path_of(entry), flags, Mode::empty())?;
                // exactly as long as its header says, whatever happens to the file meanwhile
                let content = File::from(opened).chain(io::repeat(0)).take(size);
                append(&mut self.out, header, path, b"", &xattrs, content)
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = readlinkat(entry, c"", Vec::new())?;
                append(&mut self.out, header, path, target.to_bytes(), &xattrs, io::empty())
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                header.set_entry_type(match kind {
                    FileType::CharacterDevice => EntryType::Char,
                    FileType::BlockDevice => EntryType::Block,
                    _ => EntryType::Fifo,
                });
                header.set_device_major(rustix::fs::major(stat.st_rdev))?;
                header.set_device_minor(rustix::fs::minor(stat.st_rdev))?;
                append(&mut self.out, header, path, b"", &xattrs, io::empty())
            }
            // a socket is nothing without the process that listens on it
            _ => Ok(()),
        }
    }

    fn contents(&mut self, entry: BorrowedFd, name: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(entry, c".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for child in names {
            match openat(&directory, &child, flags, Mode::empty()) {
                Ok(opened) => {
                    let name = name.join(std::ffi::OsStr::from_bytes(child.to_bytes()));
                    self.entry(opened.as_fd(), &name)?;
                }
                Err(Errno::NOENT) => {} // it was deleted meanwhile
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
