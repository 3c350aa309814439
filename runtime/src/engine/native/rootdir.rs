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
            Err(Errno::NOENT) => self.make(path, directory),
            other => other,
        }
    }

    /// `mkdir -p` inside the root; opens the last directory.
    pub fn create_directories(&self, path: &str) -> Result<OwnedFd> {
        match self.get(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => self.make(path, true),
            other => other,
        }
    }

    /// Makes what is missing of a path. A link on the way, or at its end, is followed inside the root; where it dangles, what
    /// it names is made there, as Docker does.
    fn make(&self, path: &str, directory: bool) -> Result<OwnedFd> {
        let mut left: Vec<String> = names(path).rev().collect();
        // without links: so far as the way has been gone
        let mut at = String::from("/");
        let mut reached = self.get(&at, OFlags::PATH | OFlags::DIRECTORY)?;
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                at.truncate(at.rfind('/').unwrap_or(0).max(1));
                reached = self.get(&at, OFlags::PATH | OFlags::DIRECTORY)?;
                continue;
            }
            let next = format!("{}/{name}", at.trim_end_matches('/'));
            let is_file = left.is_empty() && !directory;
            let flags = OFlags::PATH | if is_file { OFlags::empty() } else { OFlags::DIRECTORY };
            let plain = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);
            match self.resolve(&next, flags, Mode::empty(), plain) {
                Ok(opened) => (at, reached) = (next, opened),
                Err(Errno::NOENT) => {
                    // whoever else makes it: the next look tells what it is
                    match if is_file {
                        new_file(&reached, &name)
                    } else {
                        new_directory(&reached, &name)
                    } {
                        Ok(()) | Err(Errno::EXIST) => left.push(name),
                        Err(error) => return Err(error),
                    }
                }
                Err(Errno::LOOP) if links < LINKS => {
                    links += 1;
                    let target = rustix::fs::readlinkat(&reached, &name, Vec::new())?;
                    let target = target.into_string().map_err(|_| Errno::ILSEQ)?;
                    if target.starts_with('/') {
                        at = String::from("/");
                        reached = self.get(&at, OFlags::PATH | OFlags::DIRECTORY)?;
                    }
                    left.extend(names(&target).rev());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
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

/// More links on one way than the kernel follows are a circle (path_resolution(7)).
const LINKS: usize = 40;

fn names(path: &str) -> impl DoubleEndedIterator<Item = String> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned)
}

fn new_directory(parent: &OwnedFd, name: &str) -> Result<()> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
}

fn new_file(parent: &OwnedFd, name: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o755)).map(drop)
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
        root.mount_point("/relative/made", true).unwrap();
        assert!(inside.join("host/made").is_dir());
        root.mount_point("/absolute/x", true).unwrap();
        let own = directory.path().join("host");
        assert!(inside.join(own.strip_prefix("/").unwrap()).join("x").is_dir());
        assert_eq!(fsx::list(&directory.path().join("host")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn missing_mount_points_are_made() {
        let (directory, root) = root();
        root.mount_point("/a/b/file", false).unwrap();
        root.mount_point("/a//./c/", true).unwrap();
        assert!(directory.path().join("root/a/b/file").is_file());
        assert!(directory.path().join("root/a/c").is_dir());
        // links that lead nowhere yet: what they name is made
        let inside = directory.path().join("root");
        symlink("/nowhere/file", inside.join("dangling")).unwrap();
        symlink("b/../../second", inside.join("a/first")).unwrap();
        symlink("new", inside.join("second")).unwrap();
        root.mount_point("/dangling", false).unwrap();
        root.mount_point("/a/first/below", true).unwrap();
        assert!(inside.join("nowhere/file").is_file());
        assert!(inside.join("new/below").is_dir());
        assert!(fsx::list(&inside).unwrap().contains(&"second".to_owned()));
        symlink("circle", inside.join("circle")).unwrap();
        assert!(matches!(root.mount_point("/circle/x", true), Err(Errno::LOOP)));
        assert!(root.mount_point("/a/b/file/below", true).is_err());
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
