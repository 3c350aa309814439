//! Making the files of a tree whose names and symbolic links somebody hostile chose.
//!
//! Every path is resolved by the kernel with `RESOLVE_IN_ROOT` (openat2(2), Linux 5.6): `..` and absolute
//! symbolic links end at the tree's own root. What is made then is made by a name without a slash, relative to
//! an open directory, and never through a symbolic link. The tree must not be changed by others meanwhile.

use super::inspect::is_portable_xattr;
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::fs::{XattrFlags, fsetxattr, lsetxattr};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The root of a tree.
#[derive(Debug)]
pub struct Tree {
    root: Folder,
    superuser: bool,
    owners: bool,
}

/// An open directory of a [`Tree`].
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// What a name stands for, symbolic links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Directory,
    Symlink,
    /// overlayfs's mark of a removed file: a character device 0:0.
    Whiteout,
    Other,
}

/// A special file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    Character { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

/// What files have besides their content.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds since 1970; `None` leaves it.
    pub mtime: Option<(i64, u32)>,
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Tree {
    /// Opens a directory that exists. As `superuser`, owners, privileged attributes and devices are set; an ordinary user
    /// sets owners where that is possible ([`super::gives_owners`]), elsewhere everything belongs to that user.
    pub fn open(path: &Path, superuser: bool) -> io::Result<Self> {
        let root = Folder(fs::open(path, DIRECTORY, Mode::empty())?);
        Ok(Self { root, superuser, owners: superuser || super::gives_owners() })
    }

    /// Whether files get the owners that they should have.
    pub fn keeps_owners(&self) -> bool {
        self.owners
    }

    pub fn root(&self) -> &Folder {
        &self.root
    }

    /// Opens a directory below the root; symbolic links are followed, inside the root.
    pub fn folder(&self, path: &[u8]) -> io::Result<Folder> {
        self.resolve(path, DIRECTORY)
    }

    /// As [`Self::folder`], unless the last name is a symbolic link.
    pub fn folder_itself(&self, path: &[u8]) -> io::Result<Folder> {
        self.resolve(path, DIRECTORY | OFlags::NOFOLLOW)
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> io::Result<Folder> {
        let path: &[u8] = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match fs::openat2(&self.root.0, path, flags, Mode::empty(), resolve) {
                // a rename elsewhere on the host came between; openat2(2) asks to try again
                Err(Errno::AGAIN) => {}
                other => return Ok(Folder(other?)),
            }
        }
    }

    /// Sets a directory's attributes, but for its time of modification while it is being filled.
    pub fn set_attributes(&self, folder: &Folder, attributes: &Attributes) -> io::Result<()> {
        self.set(&folder.0, attributes, 0o700)
    }

    /// Sets an open file's attributes.
    pub fn set_file_attributes(&self, file: &File, attributes: &Attributes) -> io::Result<()> {
        // what its owner cannot read could not be copied where this host refuses overlays
        self.set(file, attributes, 0o400)
    }

    fn set(&self, fd: impl AsFd, attributes: &Attributes, owner: u32) -> io::Result<()> {
        let mut mode = attributes.mode;
        if self.owners {
            let (uid, gid) = ids(attributes);
            fs::fchown(&fd, uid, gid)?;
        } else {
            mode |= owner;
        }
        // after chown, which clears set-user-id and capabilities
        fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
        for (name, value) in attributes.xattrs.iter().filter(|(name, _)| self.wants(name)) {
            self.ignore_unsupported(fsetxattr(&fd, &name[..], value, XattrFlags::empty()))?;
        }
        match attributes.mtime {
            Some(mtime) => Ok(fs::futimens(fd, &timestamps(mtime))?),
            None => Ok(()),
        }
    }

    /// Sets the attributes of a symbolic link or a special file.
    pub fn set_node_attributes(
        &self,
        folder: &Folder,
        name: &[u8],
        kind: NodeKind,
        attributes: &Attributes,
    ) -> io::Result<()> {
        if self.owners {
            let (uid, gid) = ids(attributes);
            fs::chownat(&folder.0, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if kind != NodeKind::Symlink {
            let mode = Mode::from_raw_mode(attributes.mode);
            fs::chmodat(&folder.0, name, mode, AtFlags::empty())?;
        }
        let privileged = |name: &[u8]| self.wants(name) && !name.starts_with(b"user.");
        for (key, value) in attributes.xattrs.iter().filter(|(key, _)| privileged(key)) {
            let path = [super::proc_path(&folder.0).as_bytes(), b"/", name].concat();
            let result = lsetxattr(&path[..], &key[..], value, XattrFlags::empty());
            self.ignore_unsupported(result)?;
        }
        match attributes.mtime {
            Some(mtime) => {
                Ok(fs::utimensat(&folder.0, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            None => Ok(()),
        }
    }

    fn wants(&self, xattr: &[u8]) -> bool {
        is_portable_xattr(xattr) && (self.owners || xattr.starts_with(b"user."))
    }

    /// As Docker: a file system without such attributes loses them.
    fn ignore_unsupported(&self, result: Result<(), Errno>) -> io::Result<()> {
        match result {
            Err(Errno::NOTSUP) => Ok(()),
            Err(Errno::PERM) if !self.superuser => Ok(()),
            other => Ok(other?),
        }
    }
}

impl Folder {
    pub fn make_directory(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, name, Mode::RWXU)?)
    }

    /// Opens a directory by its own name.
    pub fn open(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(fs::openat(&self.0, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Makes an empty file that did not exist.
    pub fn make_file(&self, name: &[u8]) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    pub fn make_symlink(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.0, name)?)
    }

    /// Gives a file of another folder of this tree a further name; a symbolic link is linked itself.
    pub fn make_link(&self, name: &[u8], from: &Self, from_name: &[u8]) -> io::Result<()> {
        Ok(fs::linkat(&from.0, from_name, &self.0, name, AtFlags::empty())?)
    }

    /// Gives a file outside the tree, whose path is ours, a further name in it.
    pub fn make_link_to(&self, name: &[u8], path: &Path) -> io::Result<()> {
        Ok(fs::linkat(CWD, path, &self.0, name, AtFlags::empty())?)
    }

    pub fn make_special(&self, name: &[u8], special: Special) -> io::Result<()> {
        let (kind, device) = match special {
            Special::Character { major, minor } => {
                (FileType::CharacterDevice, fs::makedev(major, minor))
            }
            Special::Block { major, minor } => (FileType::BlockDevice, fs::makedev(major, minor)),
            Special::Fifo => (FileType::Fifo, 0),
        };
        Ok(fs::mknodat(&self.0, name, kind, Mode::RUSR | Mode::WUSR, device)?)
    }

    /// Makes overlayfs's mark of a removed file. Any user may (Linux 5.8).
    pub fn make_whiteout(&self, name: &[u8]) -> io::Result<()> {
        self.make_special(name, Special::Character { major: 0, minor: 0 })
    }

    /// Hides what the layers below have in this directory.
    pub fn set_opaque(&self, superuser: bool) -> io::Result<()> {
        Ok(fsetxattr(&self.0, opaque_name(superuser), b"y", XattrFlags::empty())?)
    }

    pub fn kind_of(&self, name: &[u8]) -> io::Result<NodeKind> {
        Ok(kind(&fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// Removes a name and all that is under it.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
        Ok(super::files::remove_at(self.0.as_fd(), &name)?)
    }

    /// Opens an existing file to read it; never a symbolic link, and never waiting for a pipe's other end.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// A path to a name in this directory, for calls that take no directory. It leads to no other directory.
    pub fn path_of(&self, name: &[u8]) -> PathBuf {
        Path::new(&super::proc_path(&self.0)).join(OsStr::from_bytes(name))
    }

    /// The names in this directory, sorted.
    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        super::inspect::names_in(&self.0)
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    /// Sets the time of a name in this directory; a symbolic link's own.
    pub fn set_mtime_of(&self, name: &[u8], mtime: (i64, u32)) -> io::Result<()> {
        Ok(fs::utimensat(&self.0, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    pub fn set_mtime(&self, mtime: (i64, u32)) -> io::Result<()> {
        Ok(fs::futimens(&self.0, &timestamps(mtime))?)
    }
}

/// overlayfs reads `user.*` where it is mounted with `userxattr`, which ordinary users have to.
pub(super) fn opaque_name(superuser: bool) -> &'static str {
    if superuser { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
}

pub(super) fn kind(stat: &fs::Stat) -> NodeKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => NodeKind::Directory,
        FileType::Symlink => NodeKind::Symlink,
        FileType::CharacterDevice if stat.st_rdev == 0 => NodeKind::Whiteout,
        _ => NodeKind::Other,
    }
}

fn ids(attributes: &Attributes) -> (Option<fs::Uid>, Option<fs::Gid>) {
    // -1 means "leave it" to the kernel, and is nobody's id
    let valid = |id: u32| (id != u32::MAX).then_some(id);
    (valid(attributes.uid).map(fs::Uid::from_raw), valid(attributes.gid).map(fs::Gid::from_raw))
}

fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let mtime = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: mtime, last_modification: mtime }
}
