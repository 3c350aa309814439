//! Names of entries, and the directories that lead to them.

use super::Error;
use super::place::Placer;
use super::tar::lossy;
use crate::sys::{self, Attributes, Folder, NodeKind};
use std::io::{self, ErrorKind};

/// As the kernel's limit for symbolic links in a path.
const SYMLINK_LIMIT: usize = 40;

/// What directories get that the archive leaves out, until the layers below say better.
pub const IMPLIED: Attributes =
    Attributes { mode: 0o755, uid: 0, gid: 0, mtime: None, xattrs: &[] };

/// Attaches what was done to which entry.
pub trait During<T> {
    fn during(self, operation: &'static str, name: &[u8]) -> Result<T, Error>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, operation: &'static str, name: &[u8]) -> Result<T, Error> {
        self.map_err(|source| Error::Entry { operation, name: lossy(name), source })
    }
}

impl Placer<'_> {
    /// Opens the directory for an entry, and makes what the archive left out of its path.
    pub(super) fn parent(&mut self, path: &[u8]) -> Result<Folder, Error> {
        match self.tree.folder(path) {
            Ok(folder) => return Ok(folder),
            Err(e) if is_absent(&e) => {}
            Err(e) => return Err(e).during("open the directory", path),
        }
        let mut path = path.to_vec();
        for _ in 0..SYMLINK_LIMIT {
            match self.make_path(&path)? {
                Made::Folder(folder) => return Ok(folder),
                Made::Redirected(target) => path = target,
            }
        }
        Err(sys::symlink_loop()).during("create the directory", &path)
    }

    fn make_path(&mut self, path: &[u8]) -> Result<Made, Error> {
        let mut folder = self.tree.folder(b"").during("open", b"/")?;
        let ends = (0..path.len()).filter(|at| path[*at] == b'/').chain([path.len()]);
        for end in ends {
            let here = &path[..end];
            match self.tree.folder(here) {
                Ok(next) => {
                    folder = next;
                    continue;
                }
                Err(e) if is_absent(&e) => {}
                Err(e) => return Err(e).during("open the directory", here),
            }
            let (parent, name) = split(here);
            match folder.make_directory(name) {
                Ok(()) => {
                    self.implied.insert(here.to_vec());
                    folder = self.implied_directory(&folder, here, name)?;
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    match folder.kind_of(name).during("inspect", here)? {
                        NodeKind::Symlink => {
                            // one that leads nowhere yet: what it leads to is made, inside the root
                            let target = folder.read_link(name).during("read the link", here)?;
                            let from: &[u8] = if target.starts_with(b"/") { b"" } else { parent };
                            let whole = [from, b"/", &target, b"/", &path[end..]].concat();
                            return Ok(Made::Redirected(clamped(&whole)));
                        }
                        NodeKind::Whiteout => {
                            folder.remove(name).during("remove", here)?;
                            folder.make_directory(name).during("create the directory", here)?;
                            folder = self.implied_directory(&folder, here, name)?;
                            self.opaque(&folder, here)?;
                        }
                        _ => {
                            let error = io::Error::from(ErrorKind::NotADirectory);
                            return Err(error).during("create the directory", here);
                        }
                    }
                }
                Err(e) => return Err(e).during("create the directory", here),
            }
        }
        Ok(Made::Folder(folder))
    }

    fn implied_directory(
        &self,
        parent: &Folder,
        path: &[u8],
        name: &[u8],
    ) -> Result<Folder, Error> {
        let folder = parent.open(name).during("open the directory", path)?;
        self.tree.set_attributes(&folder, &IMPLIED).during("set the attributes of", path)?;
        Ok(folder)
    }
}

enum Made {
    Folder(Folder),
    Redirected(Vec<u8>),
}

pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A name in normal form, relative to the root; `None` if it climbs out or no system call could take it.
pub fn inside(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part if part.contains(&0) => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// As [`inside`], where `..` in the root is the root, as in symbolic links.
fn clamped(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// The directory and the last name of a path in normal form.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside(b"./a//b/../c/").unwrap(), b"a/c");
        assert_eq!(inside(b"/etc/passwd").unwrap(), b"etc/passwd");
        assert_eq!(inside(b"a/..").unwrap(), b"");
        for name in [&b"../a"[..], b"a/../../b", b"/..", b"a\0b"] {
            assert!(inside(name).is_none());
        }
        assert_eq!(clamped(b"/a/../../../b"), b"b");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
