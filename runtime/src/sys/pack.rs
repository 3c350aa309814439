//! Writing a tree as a tar archive.

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
        let mut header = Header::new_gnu();
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(0);
        if stat.st_nlink > 1 && kind != FileType::Directory {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                header.set_entry_type(EntryType::Link);
                return self.out.append_link(&mut header, name, first);
            }
            self.links.insert((stat.st_dev, stat.st_ino), name.to_owned());
        }
        match kind {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                let mut folder = name.as_os_str().to_owned();
                folder.push("/");
                self.out.append_data(&mut header, folder, io::empty())?;
                self.contents(entry, name)
            }
            FileType::RegularFile => {
                header.set_entry_type(EntryType::Regular);
                let size = stat.st_size.unsigned_abs();
                header.set_size(size);
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let path = super::resolve::path_of(entry);
                let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
                // exactly as long as its header says, whatever happens to the file meanwhile
                let content = file.chain(io::repeat(0)).take(size);
                self.out.append_data(&mut header, name, content)
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = readlinkat(entry, c"", Vec::new())?;
                let target = std::ffi::OsStr::from_bytes(target.to_bytes());
                self.out.append_link(&mut header, name, target)
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                header.set_entry_type(match kind {
                    FileType::CharacterDevice => EntryType::Char,
                    FileType::BlockDevice => EntryType::Block,
                    _ => EntryType::Fifo,
                });
                header.set_device_major(rustix::fs::major(stat.st_rdev))?;
                header.set_device_minor(rustix::fs::minor(stat.st_rdev))?;
                self.out.append_data(&mut header, name, io::empty())
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
