//! The container's files: wasmtime-wasi's implementation, with absolute symbolic links resolved inside the root and
//! relative paths taken from the working directory.

mod descriptors;
mod listing;
mod p1;
mod p2;
mod p3;
mod relative;
mod view;
mod walk;

pub(in crate::engine::wasm::host) use descriptors::close;
pub(in crate::engine::wasm) use listing::{Listings, Streams};
pub(in crate::engine::wasm) use p1::shadow as shadow_preview1;
pub(in crate::engine::wasm) use view::{Files, View};

use super::super::files::{Preopen, open_below, open_in_root};
use relative::WorkingDirectory;
use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

/// The guest's tree, seen from the host's functions; the root is the first directory.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Tree {
    directories: Vec<Directory>,
    /// Unless it is the root.
    cwd: Option<WorkingDirectory>,
}

/// A preopened directory.
#[derive(Debug)]
struct Directory {
    /// Relative to the root, which is empty.
    guest: String,
    handle: OwnedFd,
    permissions: FsPerms,
}

/// A place in the tree: a preopened directory, and a path below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    directory: usize,
    path: String,
}

/// What the guest opened its directories as, by the number it knows them by: paths relative to the root. A directory
/// that was renamed since then is not found where it was; that is the worst this can do.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::wasm) struct Opened {
    directories: HashMap<u32, String>,
    /// The root as it was preopened, from which relative paths start as well as absolute ones.
    starts: HashSet<u32>,
}

impl Tree {
    /// `words` are those in which the guest may have been told of paths: its arguments and variables.
    pub fn open<'a>(
        preopens: &[Preopen],
        cwd: &str,
        words: impl Iterator<Item = &'a str>,
    ) -> std::io::Result<Self> {
        let directories = preopens.iter().map(|preopen| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = openat(CWD, &preopen.host, flags, Mode::empty())?;
            let guest = preopen.guest.trim_matches('/').to_owned();
            Ok(Directory { guest, handle, permissions: preopen.permissions })
        });
        let directories = directories.collect::<std::io::Result<_>>()?;
        let mut tree = Self { directories, cwd: None };
        let written = cwd.trim_matches('/');
        let cwd = walk::walk("", written, true, |path| tree.read_link(path));
        let cwd = cwd.unwrap_or_else(|| written.to_owned());
        if !matches!(cwd.as_str(), "" | ".") {
            tree.cwd = Some(WorkingDirectory::new(cwd, words));
        }
        Ok(tree)
    }

    /// Of a guest that knows its working directory, and passes absolute paths only.
    pub fn without_cwd(self) -> Self {
        Self { cwd: None, ..self }
    }

    /// The path from the root that a path below the root is meant to be, if it is a relative one.
    fn in_cwd(&self, path: &str, seems_absolute: bool) -> Option<String> {
        let exists = |path: &str| {
            let Place { directory, path } = self.place(path);
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            open_in_root(&self.directories[directory].handle, &path, flags).is_ok()
        };
        self.cwd.as_ref()?.path(path, seems_absolute, exists)
    }

    /// The place that a path comes to when its links are followed.
    fn resolve(&self, directory: &str, path: &str, follow_last: bool) -> Option<Place> {
        let way = walk::walk(directory, path, follow_last, |path| self.read_link(path))?;
        Some(self.place(&way))
    }

    /// What the link at a path holds. wasmtime-wasi does not show absolute targets, lest they tell of the host; here
    /// they tell of the container.
    fn link_target(&self, directory: &str, path: &str) -> Option<String> {
        let way = walk::walk(directory, path, false, |path| self.read_link(path))?;
        self.read_link(&way)
    }

    /// The innermost preopened directory that a path from the root lies in.
    fn place(&self, path: &str) -> Place {
        let below = |directory: &Directory| match path.strip_prefix(&directory.guest)? {
            rest if directory.guest.is_empty() => Some(rest),
            "" => Some("."),
            rest => rest.strip_prefix('/'),
        };
        let found = self
            .directories
            .iter()
            .enumerate()
            .rev()
            .filter_map(|(i, directory)| Some((directory.guest.len(), i, below(directory)?)));
        let (_, directory, path) = found.max_by_key(|(length, ..)| *length).unwrap_or((0, 0, path));
        Place { directory, path: path.to_owned() }
    }

    /// The target of a link whose parents are no links.
    fn read_link(&self, path: &str) -> Option<String> {
        let Place { directory, path } = self.place(path);
        let handle = self.directories[directory].handle.as_fd();
        let link = open_below(handle, &path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        readlinkat(link, "", Vec::new()).ok()?.into_string().ok()
    }

    /// A descriptor of a preopened directory, for wasmtime-wasi.
    fn descriptor(&self, directory: usize) -> std::io::Result<Descriptor> {
        let directory = &self.directories[directory];
        let mode = match directory.permissions {
            FsPerms::ReadOnly => OpenMode::READ,
            FsPerms::ReadWrite => OpenMode::READ | OpenMode::WRITE,
        };
        let file = File::from(directory.handle.try_clone()?);
        Ok(Descriptor::Dir(Dir::new(file, directory.permissions, mode, true)))
    }
}

impl Opened {
    /// As preview 1 numbers what is preopened.
    pub fn preopened(tree: &Tree) -> Self {
        let mut opened = Self::default();
        for (number, directory) in (3..).zip(&tree.directories) {
            opened.insert_preopened(number, directory.guest.clone());
        }
        opened
    }

    pub fn is_directory(&self, number: u32) -> bool {
        self.directories.contains_key(&number)
    }

    /// The root was opened, from which nothing but what is below it starts.
    pub fn insert_root(&mut self, number: u32) {
        self.directories.insert(number, String::new());
    }

    fn is_start(&self, number: u32) -> bool {
        self.starts.contains(&number)
    }

    fn path(&self, number: u32) -> Option<&str> {
        self.directories.get(&number).map(String::as_str)
    }

    fn insert_preopened(&mut self, number: u32, path: String) {
        if path.is_empty() {
            self.starts.insert(number);
        }
        self.directories.insert(number, path);
    }

    /// A directory was opened below another one.
    fn insert_below(&mut self, parent: u32, path: &str, number: u32) {
        let joined = self.path(parent).map(|parent| walk::join(parent, path));
        self.remove(number);
        self.directories.extend(joined.map(|path| (number, path)));
    }

    fn renumber(&mut self, from: u32, to: u32) {
        let is_start = self.starts.contains(&from);
        let path = self.directories.get(&from).cloned();
        self.remove(from);
        self.remove(to);
        self.directories.extend(path.map(|path| (to, path)));
        if is_start {
            self.starts.insert(to);
        }
    }

    fn remove(&mut self, number: u32) {
        self.directories.remove(&number);
        self.starts.remove(&number);
    }
}
