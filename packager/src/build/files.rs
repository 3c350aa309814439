//! Where `COPY` reads: a folder of the host, or the files of an image or stage. Both are hostile.
//!
//! A folder's names are resolved one by one, relative to open directories, never through a symbolic link of the kernel's
//! choice; layers are looked up as overlayfs would. Either way `..` and links end at the root.

use knarr_core::store::merged::{self, Directory, Entry};
use knarr_core::sys::{self, Folder, NodeKind, Tree};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// As the kernel's limit.
const SYMLINK_LIMIT: usize = 40;

/// A tree to read from.
#[derive(Debug)]
pub enum Files {
    Folder(Tree),
    /// Top first.
    Layers(Vec<PathBuf>),
}

/// A directory in it.
#[derive(Debug)]
pub enum Place {
    Folder(Folder),
    Layers(Directory),
}

/// What a name stands for.
#[derive(Debug)]
pub struct Found {
    pub kind: NodeKind,
    /// For calls about the thing itself, at once: valid while the [`Place`] it was found in lives. Symbolic links are not
    /// to be followed.
    pub real: PathBuf,
    directory: Option<Directory>,
}

/// A path without symbolic links, and what is there.
#[derive(Debug)]
pub struct Resolved {
    /// Relative to the root; empty for the root itself.
    pub path: Vec<u8>,
    pub is_directory: bool,
}

impl Files {
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        Ok(Self::Folder(Tree::open(folder, false)?))
    }

    pub fn root(&self) -> io::Result<Place> {
        Ok(match self {
            Self::Folder(tree) => Place::Folder(tree.folder_itself(b"")?),
            Self::Layers(layers) => Place::Layers(merged::root(layers)),
        })
    }

    /// Opens the directory at a path without symbolic links.
    pub fn place(&self, path: &[u8]) -> io::Result<Place> {
        let mut place = self.root()?;
        for name in components(path) {
            let found = place.entry(name)?.ok_or(io::ErrorKind::NotFound)?;
            place = place.enter(name, &found)?;
        }
        Ok(place)
    }

    /// Finds a path (`..` and links stay inside) and follows symbolic links, the last one only if `follow`. `None` if
    /// there is nothing.
    pub fn resolve(&self, path: &[u8], follow: bool) -> io::Result<Option<Resolved>> {
        match self.walk(path, follow, false) {
            Ok((resolved, missing)) => Ok(missing.is_empty().then_some(resolved)),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Finds as much of a path as there is, symbolic links followed, and the names that are missing: of the path, or of
    /// what the last link leads to.
    pub fn reach(&self, path: &[u8]) -> io::Result<(Resolved, Vec<Vec<u8>>)> {
        self.walk(path, true, true)
    }

    /// Stops at the first name that is missing, or goes on `beyond` it.
    fn walk(
        &self,
        path: &[u8],
        follow: bool,
        beyond: bool,
    ) -> io::Result<(Resolved, Vec<Vec<u8>>)> {
        let mut names: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
        let mut stack: Vec<(Vec<u8>, Place)> = vec![(Vec::new(), self.root()?)];
        let mut missing: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            if name == b".." {
                if missing.pop().is_none() && stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let Some((_, place)) = stack.last().filter(|_| missing.is_empty()) else {
                missing.push(name);
                continue;
            };
            let Some(found) = place.entry(&name)? else {
                missing.push(name);
                if beyond {
                    continue;
                }
                break;
            };
            match found.kind {
                NodeKind::Directory => {
                    let inner = place.enter(&name, &found)?;
                    stack.push((name, inner));
                }
                NodeKind::Symlink if follow || !names.is_empty() => {
                    links += 1;
                    if links > SYMLINK_LIMIT {
                        return Err(sys::symlink_loop());
                    }
                    let target = sys::read_link(&found.real)?;
                    if target.is_absolute() {
                        stack.truncate(1);
                    }
                    let target = target.into_os_string().into_vec();
                    for part in components(&target).collect::<Vec<_>>().into_iter().rev() {
                        names.push_front(part.to_vec());
                    }
                }
                _ if names.is_empty() => {
                    let mut path = joined(&stack);
                    push(&mut path, &name);
                    return Ok((Resolved { path, is_directory: false }, missing));
                }
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        Ok((Resolved { path: joined(&stack), is_directory: true }, missing))
    }

    /// What is at a path without symbolic links that is not the root; the place must be kept while it is used.
    pub fn entry(&self, path: &[u8]) -> io::Result<Option<(Place, Found)>> {
        let (parent, name) = split(path);
        let place = self.place(parent)?;
        Ok(place.entry(name)?.map(|found| (place, found)))
    }
}

impl Place {
    /// For calls about the directory itself, while this value lives.
    pub fn real(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path_of(b"."),
            Self::Layers(directory) => {
                directory.first().map(|(_, path)| path.clone()).unwrap_or_default()
            }
        }
    }

    /// Everything in it, sorted.
    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        match self {
            Self::Folder(folder) => folder.names(),
            Self::Layers(directory) => {
                let children = merged::children(directory)?;
                Ok(children.into_iter().map(|(name, _)| name.into_vec()).collect())
            }
        }
    }

    pub fn entry(&self, name: &[u8]) -> io::Result<Option<Found>> {
        match self {
            Self::Folder(folder) => {
                let kind = match folder.kind_of(name) {
                    Ok(kind) => kind,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(e) => return Err(e),
                };
                Ok(Some(Found { kind, real: folder.path_of(name), directory: None }))
            }
            Self::Layers(directory) => {
                Ok(merged::lookup(directory, OsStr::from_bytes(name))?.map(Found::from))
            }
        }
    }

    /// Opens a directory that was found in this one.
    pub fn enter(&self, name: &[u8], found: &Found) -> io::Result<Self> {
        match (self, &found.directory) {
            (Self::Folder(folder), _) => Ok(Self::Folder(folder.open(name)?)),
            (Self::Layers(_), Some(directory)) => Ok(Self::Layers(directory.clone())),
            (Self::Layers(_), None) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Directory(directory) => Self {
                kind: NodeKind::Directory,
                real: directory.first().map(|(_, path)| path.clone()).unwrap_or_default(),
                directory: Some(directory),
            },
            Entry::Node(found) => Self { kind: found.kind, real: found.path, directory: None },
        }
    }
}

/// The names of a path, without empty ones and `.`.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// Parent and last name.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Adds a name to a path.
pub fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Two paths in one.
pub fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = path.to_vec();
    push(&mut joined, name);
    joined
}

/// A path made lexically plain: relative to the root, without `.` and empty names, `..` taken off.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in components(path) {
        if name == b".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
    names.join(&b'/')
}

fn joined(stack: &[(Vec<u8>, Place)]) -> Vec<u8> {
    let names: Vec<&[u8]> = stack.iter().skip(1).map(|(name, _)| name.as_slice()).collect();
    names.join(&b'/')
}

/// For messages.
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// A path as the operating system has it.
pub fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(path.to_vec()))
}
