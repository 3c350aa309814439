//! Paths of a container, resolved inside its root whatever its symbolic links say.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The root of a container: absolute links and `..` in what is opened through it end at this directory, as if the
/// process had called `chroot` (openat2(2), `RESOLVE_IN_ROOT`). Links of /proc that leave the tree are refused.
pub struct RootDir(OwnedFd);

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Directories that are made on the way to a mount point or a working directory.
const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o755);

impl RootDir {
    /// `path` is Knarr's own: the directory that becomes the root.
    pub fn open(path: &Path) -> Result<Self> {
        rustix::fs::openat(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map(Self)
    }

    /// Opens a path of the container. Without `OFlags::CREATE`.
    pub fn get(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        self.resolve(path, flags, Mode::empty(), IN_ROOT)
    }

    /// Opens a directory that must be one itself, not a link to one, at any of its components.
    pub fn directory_without_links(&self, path: &str) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let strict = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);
        match self.resolve(path, flags, Mode::empty(), strict) {
            Err(Errno::NOENT) => {
                self.create_directories(path)?;
                self.resolve(path, flags, Mode::empty(), strict)
            }
            other => other,
        }
    }

    /// Opens a mount point: made if it is missing, as a directory or as an empty file.
    pub fn mount_point(&self, path: &str, directory: bool) -> Result<OwnedFd> {
        match self.get(path, OFlags::PATH) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        if directory {
            return self.create_directories(path);
        }
        let (parent, name) = split(path);
        let parent = self.create_directories(parent)?;
        // a dangling link stays one: O_EXCL does not follow it
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o755))?;
        rustix::fs::openat(
            &parent,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// `mkdir -p` inside the root; opens the last directory.
    ///
    /// A link on the way is followed inside the root; where it dangles, this is an error rather than a guess.
    pub fn create_directories(&self, path: &str) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.get(path, flags) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let mut at = String::from("/");
        let mut directory = self.get(&at, flags)?;
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            // the kernel resolves `..`, which a link may have changed the meaning of
            if at.len() > 1 {
                at.push('/');
            }
            at.push_str(name);
            directory = match self.get(&at, flags) {
                Err(Errno::NOENT) if name != ".." => {
                    match rustix::fs::mkdirat(&directory, name, NEW_DIRECTORY) {
                        Ok(()) | Err(Errno::EXIST) => self.get(&at, flags)?,
                        Err(error) => return Err(error),
                    }
                }
                other => other?,
            };
        }
        Ok(directory)
    }

    /// Reads a small regular file; `None` if it is absent.
    ///
    /// A FIFO or a device in its place is an error, not a hang; `limit` guards against a file made to exhaust memory.
    pub fn read_small(&self, path: &str, limit: u64) -> io::Result<Option<String>> {
        let fd = match self.get(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
        let file = File::from(fd);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        if metadata.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn resolve(
        &self,
        path: &str,
        flags: OFlags,
        mode: Mode,
        resolve: ResolveFlags,
    ) -> Result<OwnedFd> {
        loop {
            // EAGAIN: something was renamed meanwhile, and the kernel could not prove that `..` stayed inside
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Parent and last name of a path.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some((parent, name)) => (if parent.is_empty() { "/" } else { parent }, name),
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::fsx;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, RootDir) {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("root");
        fsx::create_dir(&inside).unwrap();
        let root = RootDir::open(&inside).unwrap();
        (directory, root)
    }

    #[test]
    fn links_end_inside_the_root() {
        let (directory, root) = root();
        let inside = directory.path().join("root");
        fsx::create_dir(&directory.path().join("host")).unwrap();
        symlink(directory.path().join("host"), inside.join("absolute")).unwrap();
        symlink("../../../../host", inside.join("relative")).unwrap();
        assert!(root.mount_point("/absolute/x", true).is_err());
        fsx::create_dir(&inside.join("host")).unwrap();
        root.mount_point("/relative/made", true).unwrap();
        assert!(inside.join("host/made").is_dir());
        assert_eq!(fsx::list(&directory.path().join("host")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn missing_mount_points_are_made() {
        let (directory, root) = root();
        root.mount_point("/a/b/file", false).unwrap();
        root.mount_point("/a//./c/", true).unwrap();
        assert!(directory.path().join("root/a/b/file").is_file());
        assert!(directory.path().join("root/a/c").is_dir());
        symlink("/nowhere", directory.path().join("root/dangling")).unwrap();
        assert!(root.mount_point("/dangling", false).is_err());
        assert!(!directory.path().join("root/nowhere").exists());
    }

    #[test]
    fn a_system_directory_may_not_be_a_link() {
        let (directory, root) = root();
        symlink("/tmp", directory.path().join("root/proc")).unwrap();
        assert!(matches!(root.directory_without_links("/proc"), Err(Errno::LOOP)));
        root.directory_without_links("/sys").unwrap();
    }

    #[test]
    fn only_regular_files_are_read() {
        let (directory, root) = root();
        let fifo = directory.path().join("root/passwd");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(root.read_small("/passwd", 100).is_err());
        assert!(root.read_small("/absent", 100).unwrap().is_none());
        fsx::write(&directory.path().join("root/large"), [b'x'; 101]).unwrap();
        assert!(root.read_small("/large", 100).is_err());
    }
}
