//! Looking at files whose paths are ours, and at what is beside their content.

use super::tree::{Attributes, DIRECTORY, NodeKind, Special, kind, opaque_name};
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What `path`, which is ours, stands for; `None` if there is nothing.
pub fn node_kind(path: &Path) -> io::Result<Option<NodeKind>> {
    match fs::lstat(path) {
        Ok(stat) => Ok(Some(kind(&stat))),
        // also where a layer has a file and another one a directory of that name
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Whether a directory of a layer hides those of the same name below.
pub fn is_opaque(directory: &Path) -> bool {
    // one byte, `y`; `x` (Linux 6.7) only says that there are whiteouts of another kind in it
    let mut value = [0; 2];
    [true, false].into_iter().any(|superuser| {
        fs::lgetxattr(directory, opaque_name(superuser), &mut value) == Ok(1) && value[0] == b'y'
    })
}

/// What a file has besides its content, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedAttributes {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Device and inode of a file with several names.
    pub shared: Option<(u64, u64)>,
    pub kind: NodeKind,
    pub special: Option<Special>,
    pub is_socket: bool,
}

impl OwnedAttributes {
    pub fn borrow(&self) -> Attributes<'_> {
        Attributes {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Some(self.mtime),
            xattrs: &self.xattrs,
        }
    }
}

/// The attributes of what `path`, which is ours, names; a symbolic link's own.
pub fn attributes_of(path: &Path) -> io::Result<OwnedAttributes> {
    let xattrs = xattrs_of(path)?;
    Ok(OwnedAttributes { xattrs, ..from_stat(&fs::lstat(path)?) })
}

/// What tells that a file is still the one that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    pub ctime: i64,
    pub inode: u64,
}

/// [`attributes_of`] without extended attributes, which cost three calls more.
pub fn look(path: &Path) -> io::Result<(OwnedAttributes, Identity)> {
    let stat = fs::lstat(path)?;
    let nanoseconds = |seconds: i64, rest: u64| seconds.saturating_mul(1_000_000_000) + rest as i64;
    let identity = Identity {
        size: stat.st_size as u64,
        mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        inode: stat.st_ino,
    };
    Ok((from_stat(&stat), identity))
}

fn from_stat(stat: &fs::Stat) -> OwnedAttributes {
    let file_type = FileType::from_raw_mode(stat.st_mode);
    let (major, minor) = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
    let special = match file_type {
        FileType::CharacterDevice => Some(Special::Character { major, minor }),
        FileType::BlockDevice => Some(Special::Block { major, minor }),
        FileType::Fifo => Some(Special::Fifo),
        _ => None,
    };
    let shared = stat.st_nlink > 1 && file_type != FileType::Directory;
    OwnedAttributes {
        shared: shared.then_some((stat.st_dev, stat.st_ino)),
        special,
        kind: kind(stat),
        is_socket: file_type == FileType::Socket,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        xattrs: Vec::new(),
    }
}

/// The extended attributes of a file, sorted; overlayfs's own and the host's labels left out.
pub fn xattrs_of(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    xattrs(|names| fs::llistxattr(path, names), |name, value| fs::lgetxattr(path, name, value))
}

/// [`xattrs_of`] an open file, also of one opened with `O_PATH`.
pub fn xattrs_of_open(file: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = super::proc_path(file);
    xattrs(|names| fs::listxattr(&path, names), |name, value| fs::getxattr(&path, name, value))
}

fn xattrs(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; 512];
    let length = loop {
        match list(&mut names) {
            Err(Errno::RANGE) => names.resize(names.len() * 2, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            other => break other?,
        }
    };
    let mut xattrs = Vec::new();
    for name in names[..length].split(|b| *b == 0).filter(|name| is_portable_xattr(name)) {
        // XATTR_SIZE_MAX
        let mut value = vec![0; 1 << 16];
        match get(name, &mut value) {
            Ok(size) => {
                value.truncate(size);
                xattrs.push((name.to_vec(), value));
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

/// Whether an extended attribute means something in another place. overlayfs's own would let an image redirect a name;
/// labels are the host's business.
pub fn is_portable_xattr(name: &[u8]) -> bool {
    !name.is_empty()
        && !name.contains(&0)
        && !name.starts_with(b"trusted.overlay.")
        && !name.starts_with(b"user.overlay.")
        && name != b"security.selinux"
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    names_in(fs::open(directory, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

pub(super) fn names_in(directory: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

pub fn read_link(path: &Path) -> io::Result<PathBuf> {
    let target = fs::readlink(path, Vec::new())?.into_bytes();
    Ok(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(target).into())
}

/// Bytes that this user may still write to the file system of `path`.
pub fn available_space(path: &Path) -> io::Result<u64> {
    let stat = fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes of the file system of `path`: all of it, and what this user may still write.
pub fn disk_space(path: &Path) -> io::Result<(u64, u64)> {
    let stat = fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}

/// What the kernel says of a path with too many symbolic links in it.
pub fn symlink_loop() -> io::Error {
    Errno::LOOP.into()
}

/// Opens a file to read it: not through a symbolic link, and never waiting for a pipe's other end.
pub fn open_itself(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(fs::open(path, flags, Mode::empty())?.into())
}

/// Copies a file's content into an empty one: shares it where the file system can, and keeps holes.
pub fn copy_content(from: &Path, to: &File) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from: File = fs::open(from, flags, Mode::empty())?.into();
    if fs::ioctl_ficlone(to, &from).is_ok() {
        return Ok(());
    }
    let size = fs::fstat(&from)?.st_size as u64;
    let mut end = 0;
    while end < size {
        let start = match fs::seek(&from, fs::SeekFrom::Data(end)) {
            // nothing but a hole is left
            Err(Errno::NXIO) => break,
            // a file system that knows no holes
            Err(Errno::INVAL) => end,
            other => other?,
        };
        end = fs::seek(&from, fs::SeekFrom::Hole(start)).unwrap_or(size);
        fs::seek(&from, fs::SeekFrom::Start(start))?;
        fs::seek(to, fs::SeekFrom::Start(start))?;
        // copy_file_range(2) underneath
        io::copy(&mut io::Read::take(&from, end - start), &mut &*to)?;
    }
    to.set_len(size)
}

/// Whether mount(2) failed because the kernel does not have the file system.
pub fn is_unknown_file_system(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// A relative path out of an archive or a tree, as the operating system spells it.
pub fn os_path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}
