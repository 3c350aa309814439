//! `cp`: files between a container and the host, or as a tar archive.
//!
//! The rules are Docker's ("docker cp", "Extended description"): what is copied gets the destination's name if that does
//! not exist, and lands inside it if it is a directory; a source that ends in `/.` means what is in it.
//!
//! Paths in the container are resolved in its root, and below the place where copying begins no symbolic link is
//! followed, on either side: a container can neither read nor write files of the host by what it contains.

mod sync;

pub use sync::sync;

use super::view::View;
use super::{Error, Result};
use crate::sys::tree::{self, Policy};
use crate::sys::{pack, resolve, unpack};
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, statat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Keep user and group; otherwise the destination's user owns the copy.
    pub archive: bool,
    /// Copy what a symbolic link leads to, if the source is one.
    pub follow_link: bool,
}

/// Copies out of a container to a path of the host.
pub fn from_container(
    store: &Store,
    id: &ContainerId,
    source: &str,
    target: &Path,
    options: CopyOptions,
) -> Result<()> {
    // before this process may change its namespaces
    let host = Tree::host(target)?;
    let view = View::of(store, id)?;
    // this user, as the namespace has it
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let source = Source::open(&Tree::container(&view, source)?, source, options.follow_link)?;
    let owner = if options.archive { None } else { Some(owner) };
    source.copy_to(&host, &target.to_string_lossy(), Policy { owner, merge: true })
}

/// Copies a path of the host into a container.
pub fn into_container(
    store: &Store,
    id: &ContainerId,
    source: &Path,
    target: &str,
    options: CopyOptions,
) -> Result<()> {
    let text = source.to_string_lossy();
    let source = Source::open(&Tree::host(source)?, &text, options.follow_link)?;
    let view = View::of(store, id)?;
    let tree = Tree::writable(&view, target)?;
    let owner = if options.archive { None } else { Some((0, 0)) };
    source.copy_to(&tree, target, Policy { owner, merge: true })
}

/// Writes a tar archive of a path in a container; the path's last name is the first name in it.
pub fn to_archive(
    store: &Store,
    id: &ContainerId,
    source: &str,
    out: &mut dyn Write,
    options: CopyOptions,
) -> Result<()> {
    let view = View::of(store, id)?;
    let tree = Tree::container(&view, source)?;
    let opened = Source::open(&tree, source, options.follow_link)?;
    pack::pack(&opened.entry, &opened.name_in_archive(), out).map_err(failed("archive", source))
}

/// Unpacks a tar archive into a directory of a container.
pub fn from_archive(
    store: &Store,
    id: &ContainerId,
    archive: &mut dyn Read,
    target: &str,
    options: CopyOptions,
) -> Result<()> {
    let view = View::of(store, id)?;
    unpack_at(&Tree::writable(&view, target)?, archive, target, options)
}

fn unpack_at(
    tree: &Tree,
    archive: &mut dyn Read,
    target: &str,
    options: CopyOptions,
) -> Result<()> {
    let Some(directory) = tree.directory(target)? else {
        return Err(Error::NotADirectory { path: target.to_owned() });
    };
    let options = unpack::Options { owners: options.archive, top: false };
    unpack::unpack(archive, directory.as_fd(), options).map_err(|(path, source)| Error::Copy {
        operation: "unpack",
        path,
        source,
    })
}

fn failed<E: Into<std::io::Error>>(operation: &'static str, path: &str) -> impl Fn(E) -> Error {
    let path = path.to_owned();
    move |e| {
        let source: std::io::Error = e.into();
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoSuchPath { path: path.clone() },
            _ => Error::Copy { operation, path: path.clone(), source },
        }
    }
}

/// A root, and a path in it.
struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

impl Tree {
    /// The host itself.
    fn host(path: &Path) -> Result<Self> {
        let text = path.to_string_lossy().into_owned();
        let root = resolve::open_root(Path::new("/")).map_err(failed("open", "/"))?;
        let directory = std::env::current_dir().map_err(failed("open", &text))?;
        Ok(Self { root, path: directory.join(path) })
    }

    fn container(view: &View, path: &str) -> Result<Self> {
        // a relative path of a container begins at its root
        let (root, path) = view.locate(&Path::new("/").join(path))?;
        Ok(Self { root, path })
    }

    fn writable(view: &View, path: &str) -> Result<Self> {
        if view.is_read_only(&Path::new("/").join(path)) {
            return Err(failed("write", path)(Errno::ROFS));
        }
        Self::container(view, path)
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        resolve::open_in(&self.root, path, flags, Mode::empty())
    }

    /// The directory that the path leads to; `None` if it leads to something else, or nowhere.
    fn directory(&self, text: &str) -> Result<Option<OwnedFd>> {
        match self.open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(failed("open", text)(e)),
        }
    }

    /// The directory in which the path's last name is, and that name.
    fn parent(&self, text: &str) -> Result<(OwnedFd, CString)> {
        let name = last_name(&self.path).ok_or_else(|| failed("write", text)(Errno::EXIST))?;
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = self.open(parent, flags).map_err(failed("open", &parent.to_string_lossy()))?;
        Ok((opened, name))
    }
}

/// `None` for `/` and for paths that end in `..`.
fn last_name(path: &Path) -> Option<CString> {
    match path.components().next_back()? {
        Component::Normal(name) => CString::new(name.as_bytes()).ok(),
        _ => None,
    }
}

/// What is to be copied.
struct Source {
    entry: OwnedFd,
    is_directory: bool,
    /// What is in it, not the directory itself.
    only_contents: bool,
    name: Option<CString>,
    text: String,
}

impl Source {
    fn open(tree: &Tree, text: &str, follow: bool) -> Result<Self> {
        let only_contents = text == "." || text.ends_with("/.");
        let as_directory = only_contents || text.ends_with('/');
        let mut flags = OFlags::PATH;
        if as_directory {
            flags |= OFlags::DIRECTORY;
        } else if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let entry = match tree.open(&tree.path, flags) {
            Err(Errno::NOTDIR) if as_directory => {
                return Err(Error::NotADirectory { path: text.to_owned() });
            }
            other => other.map_err(failed("open", text))?,
        };
        let kind = fstat(&entry).map_err(failed("inspect", text))?.st_mode;
        let is_directory = FileType::from_raw_mode(kind) == FileType::Directory;
        let name = last_name(&tree.path);
        // a root has no name to be copied under
        let only_contents = only_contents || (is_directory && name.is_none());
        Ok(Self { entry, is_directory, only_contents, name, text: text.to_owned() })
    }

    fn name_in_archive(&self) -> PathBuf {
        match &self.name {
            Some(name) if !self.only_contents => {
                PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
            }
            _ => PathBuf::from("."),
        }
    }

    fn copy_to(&self, tree: &Tree, text: &str, policy: Policy) -> Result<()> {
        let done = |result: Result<(), tree::Failure>| result.map_err(failed("copy", &self.text));
        let wants_directory = text.ends_with('/') || text.ends_with("/.");
        if let Some(directory) = tree.directory(text)? {
            return match &self.name {
                _ if self.only_contents => self.contents_to(&directory, policy),
                Some(name) => {
                    self.check_replaced(&directory, name)?;
                    done(tree::copy_entry(&self.entry, &directory, name, policy))
                }
                None => Err(Error::IsADirectory { path: text.to_owned() }),
            };
        }
        let exists = tree.open(&tree.path, OFlags::PATH).is_ok();
        let is_link = || tree.open(&tree.path, OFlags::PATH | OFlags::NOFOLLOW).is_ok();
        if (exists && self.is_directory) || (wants_directory && !self.is_directory) {
            return Err(Error::NotADirectory { path: text.to_owned() });
        }
        if exists || is_link() {
            // what a link leads to is written, not the link replaced, as long as that stays inside; also where there is
            // nothing yet
            return self.overwrite(tree, text, policy);
        }
        let (parent, name) = tree.parent(text)?;
        done(tree::copy_entry(&self.entry, &parent, &name, policy))
    }

    fn contents_to(&self, directory: &OwnedFd, policy: Policy) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let from = rustix::fs::openat(&self.entry, c".", flags, Mode::empty())
            .map_err(failed("read", &self.text))?;
        tree::copy_contents(from, directory, policy).map_err(failed("copy", &self.text))
    }

    /// A file in place of a file, or what a link leads to that leads nowhere yet. A link at the end of the path is resolved
    /// first, inside the root.
    fn overwrite(&self, tree: &Tree, text: &str, policy: Policy) -> Result<()> {
        let mut path = tree.path.clone();
        for _ in 0..40 {
            let at = Tree { root: tree.root.try_clone().map_err(failed("open", text))?, path };
            let (parent, name) = at.parent(text)?;
            match rustix::fs::readlinkat(&parent, &name, Vec::new()) {
                Ok(link) => {
                    let base = at.path.parent().unwrap_or(Path::new("/"));
                    path = base.join(std::ffi::OsStr::from_bytes(link.to_bytes()));
                }
                Err(_) => {
                    return tree::copy_entry(&self.entry, &parent, &name, policy)
                        .map_err(failed("copy", &self.text));
                }
            }
        }
        Err(failed("open", text)(Errno::LOOP))
    }

    /// A directory never takes the place of a file, nor a file that of a directory.
    fn check_replaced(&self, directory: &OwnedFd, name: &CString) -> Result<()> {
        let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let path = name.to_string_lossy().into_owned();
        match (self.is_directory, is_directory) {
            (true, false) => Err(Error::NotADirectory { path }),
            (false, true) => Err(Error::IsADirectory { path }),
            _ => Ok(()),
        }
    }
}
