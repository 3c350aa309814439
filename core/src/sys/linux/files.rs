//! File operations that the standard library lacks.

use crate::fsx::{self, Context};
use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Creates a directory and its missing parents so that only their owner may enter (mode 0700).
pub fn create_private_dir_all(path: &Path) -> fsx::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).at("create the directory", path)
}

/// Opens a file for reading and writing; one that is missing is made for its owner alone (mode 0600).
pub fn open_private(path: &Path) -> fsx::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    fsx::open_with(path, options.mode(0o600))
}

/// The mode of a directory of this user's that others may look into or enter; `None` if it is closed, absent or not ours.
pub fn open_to_others(path: &Path) -> fsx::Result<Option<u32>> {
    match std::fs::metadata(path) {
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => Ok(None),
        Ok(found) => Ok(Some(found.mode() & 0o7777).filter(|mode| mode & 0o077 != 0)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("inspect", path),
    }
}

/// Makes a directory its owner's alone (mode 0700). One on a file system that is read-only stays as it is.
pub fn close_to_others(path: &Path) -> fsx::Result<()> {
    match fs::chmod(path, Mode::from_raw_mode(0o700)) {
        Err(Errno::ROFS) => Ok(()),
        changed => changed.at("close to others", path),
    }
}

/// Whether the open file is the one that `path` names now.
pub fn is_same_file(file: &File, path: &Path) -> fsx::Result<bool> {
    let open = file.metadata().at("inspect", path)?;
    match path.metadata() {
        Ok(named) => Ok(open.dev() == named.dev() && open.ino() == named.ino()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).at("inspect", path),
    }
}

/// Renames, but never onto something that exists (`AlreadyExists`).
pub fn rename_new(from: &Path, to: &Path) -> fsx::Result<()> {
    match fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // NFS and some FUSE file systems lack the flag. A directory that has content is never replaced.
        Err(Errno::INVAL) => match std::fs::metadata(to) {
            Ok(_) => Err(Errno::EXIST).at("rename", from),
            Err(_) => fsx::rename(from, to),
        },
        other => other.at("rename", from),
    }
}

/// How long ago a file was changed; zero for one that is gone.
pub fn age(path: &Path) -> fsx::Result<std::time::Duration> {
    match path.metadata().and_then(|metadata| metadata.modified()) {
        Ok(changed) => Ok(changed.elapsed().unwrap_or_default()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Default::default()),
        Err(e) => Err(e).at("inspect", path),
    }
}

/// Writes everything that the file system of `path` still has in memory to its disk.
pub fn sync_file_system(path: &Path) -> fsx::Result<()> {
    let directory = fsx::open(path)?;
    fs::syncfs(&directory).at("sync", path)
}

/// What changes with every boot; empty where the kernel does not tell.
pub fn boot_id() -> String {
    fsx::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default()
}

/// Sixteen random hexadecimal digits.
pub fn random_name() -> String {
    let mut bytes = [0; 8];
    // a seeded pool gives eight bytes at once; what little is missing before that does no harm to a name
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    hex::encode(bytes)
}

/// Removes a tree, whatever the modes of its directories; one that is gone already is removed.
///
/// Never follows a symbolic link, and opens each directory relative to its parent: a tree that somebody
/// changes meanwhile leads nowhere else.
///
/// What belongs to an ordinary user's subordinate ids is removed by a process of ours among those.
pub fn remove_tree(path: &Path) -> fsx::Result<()> {
    match remove_own_tree(path) {
        Err(e)
            if e.kind() == ErrorKind::PermissionDenied
                && super::owners() == super::Owners::Mapped
                && !super::gives_owners()
                && remove_inside(path) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn remove_inside(path: &Path) -> bool {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("knarr").args(["internal", "remove"]).arg(path);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|ended| ended.success()) && is_gone(path)
}

fn is_gone(path: &Path) -> bool {
    fs::lstat(path).err() == Some(Errno::NOENT)
}

fn remove_own_tree(path: &Path) -> fsx::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL).at("remove", path);
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.at("open", path)?,
    };
    let name = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(name))
        .map_err(|_| Errno::INVAL)
        .at("remove", path)?;
    remove_at(parent.as_fd(), &name).at("remove", path)
}

/// Bytes that a tree takes on disk; a file with several names counts once. What vanishes meanwhile counts nothing.
pub fn tree_size(path: &Path) -> fsx::Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![path.to_owned()];
    let mut total = 0;
    while let Some(path) = waiting.pop() {
        let stat = match fs::lstat(&path) {
            Err(Errno::NOENT) => continue,
            other => other.at("inspect", &path)?,
        };
        if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) {
            continue;
        }
        total += (stat.st_blocks as u64).saturating_mul(512);
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        match super::names(&path) {
            Ok(names) => waiting.extend(names.iter().map(|name| path.join(super::os_path(name)))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e).at("list", &path),
        }
    }
    Ok(total)
}

/// [`remove_tree`] of one name in an open directory.
pub(crate) fn remove_at(parent: BorrowedFd, name: &CStr) -> Result<(), Errno> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // EPERM is what POSIX wants for directories, EISDIR what Linux says
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        other => return other,
    }
    let directory = match open_for_removal(parent, name) {
        // somebody else removes it as well
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    // names are collected first: some file systems skip entries when others are removed while reading
    loop {
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push((name.to_owned(), entry.file_type()));
            }
            if names.len() == 4096 {
                break;
            }
        }
        if names.is_empty() {
            break;
        }
        for (name, kind) in names {
            match kind {
                FileType::Directory | FileType::Unknown => remove_at(directory.as_fd(), &name)?,
                _ => match fs::unlinkat(&directory, &*name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(_) => remove_at(directory.as_fd(), &name)?,
                },
            }
        }
    }
    drop(directory);
    match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Opens a directory to empty it; makes one that its owner may not read or change readable and changeable.
fn open_for_removal(parent: BorrowedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = fs::openat(parent, name, flags, Mode::empty());
    if let Ok(directory) = &opened {
        let mode = fs::fstat(directory)?.st_mode;
        if mode & 0o700 != 0o700 {
            // fails for other users' directories: then removing what is in it says so
            let _ = fs::fchmod(directory, Mode::RWXU);
        }
    }
    match opened {
        Err(Errno::ACCESS) => {
            // Linux < 6.6 cannot chmod without following; O_PATH and /proc make it safe
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let pinned = fs::openat(parent, name, flags, Mode::empty())?;
            fs::chmod(super::proc_path(&pinned), Mode::RWXU)?;
            fs::openat(parent, name, OFlags::RDONLY | flags & !OFlags::PATH, Mode::empty())
        }
        other => other,
    }
}
