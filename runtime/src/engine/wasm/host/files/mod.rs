//! The container's files: wasmtime-wasi's implementation, with absolute symbolic links resolved inside the root and
//! relative paths taken from the working directory.

mod p1;
mod p2;
mod p3;
mod view;
mod walk;

pub(in crate::engine::wasm) use p1::shadow as shadow_preview1;
pub(in crate::engine::wasm) use view::{Files, View};

use super::super::files::{Preopen, open_below};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, readlinkat, statat};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode};

/// The guest's tree, seen from the host's functions; the root is the first directory.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Tree {
    directories: Vec<Directory>,
    /// The working directory relative to the root, unless it is the root.
    cwd: Option<String>,
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
pub(in crate::engine::wasm) struct Opened(HashMap<u32, String>);

impl Tree {
    pub fn open(preopens: &[Preopen], cwd: &str) -> std::io::Result<Arc<Self>> {
        let directories = preopens.iter().map(|preopen| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = openat(CWD, &preopen.host, flags, Mode::empty())?;
            let guest = preopen.guest.trim_matches('/').to_owned();
            Ok(Directory { guest, handle, permissions: preopen.permissions })
        });
        let cwd = cwd.trim_matches('/');
        let cwd = (!cwd.is_empty()).then(|| cwd.to_owned());
        Ok(Arc::new(Self { directories: directories.collect::<std::io::Result<_>>()?, cwd }))
    }

    /// The working directory's path for one below the root. wasi-libc tells a relative path from an absolute one no
    /// more than we can: both reach us below `/`. Where the first name is not in the root, it is a relative one.
    fn in_cwd(&self, directory: &str, path: &str) -> Option<String> {
        let cwd = self.cwd.as_ref().filter(|_| directory.is_empty())?;
        let first = path.split('/').find(|part| !matches!(*part, "" | "."))?;
        let handle = &self.directories[0].handle;
        let absent = first != ".." && statat(handle, first, AtFlags::SYMLINK_NOFOLLOW).is_err();
        absent.then(|| format!("{cwd}/{path}"))
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
        let names = tree.directories.iter().map(|directory| directory.guest.clone());
        Self((3..).zip(names).collect())
    }

    pub fn is_directory(&self, number: u32) -> bool {
        self.0.contains_key(&number)
    }

    fn path(&self, number: u32) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    fn insert(&mut self, number: u32, path: String) {
        self.0.insert(number, path);
    }

    /// A directory was opened below another one.
    fn insert_below(&mut self, parent: u32, path: &str, number: u32) {
        match self.path(parent) {
            Some(parent) => {
                let path = walk::join(parent, path);
                self.insert(number, path);
            }
            None => self.remove(number),
        }
    }

    fn renumber(&mut self, from: u32, to: u32) {
        match self.0.remove(&from) {
            Some(path) => self.insert(to, path),
            None => self.remove(to),
        }
    }

    fn remove(&mut self, number: u32) {
        self.0.remove(&number);
    }
}
