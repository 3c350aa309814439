//! What the file functions of components work on, of both generations.

use super::{Opened, Streams, Tree};
use std::sync::Arc;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};

/// Knarr's files, for the linker.
pub(in crate::engine::wasm) struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

/// The store's parts that have to do with files.
pub(in crate::engine::wasm) struct View<'a> {
    pub inner: WasiFilesystemCtxView<'a>,
    pub tree: &'a Arc<Tree>,
    pub opened: &'a mut Opened,
    pub streams: &'a mut Streams,
}

/// An open file or directory of the guest.
pub(super) type Fd = Resource<Descriptor>;

/// The same, for a call that takes it.
pub(super) fn borrow(fd: &Fd) -> Fd {
    Resource::new_borrow(fd.rep())
}

/// A directory and a path in it, by a way without links.
pub(super) struct Subject {
    pub fd: Fd,
    /// To be removed from the table afterwards.
    own: bool,
    pub path: String,
}

impl View<'_> {
    /// A relative path from the working directory, where there is one.
    pub(super) fn placed(&self, fd: &Fd, path: String) -> String {
        let starts = self.opened.is_start(fd.rep());
        starts.then(|| self.tree.in_cwd(&path, false)).flatten().unwrap_or(path)
    }

    /// The same place by a way without links; `None` if there is no other.
    pub(super) fn resolve(&mut self, fd: &Fd, path: &str, follow_last: bool) -> Option<Subject> {
        let directory = self.opened.path(fd.rep())?;
        let place = self.tree.resolve(directory, path, follow_last)?;
        if directory.is_empty() && place.directory == 0 && place.path == path {
            return None;
        }
        let descriptor = self.tree.descriptor(place.directory).ok()?;
        let fd = self.inner.table.push(descriptor).ok()?;
        Some(Subject { fd, own: true, path: place.path })
    }

    /// Two places for one operation; a path that has no other way is taken as it is.
    pub(super) fn resolve_both(
        &mut self,
        first: (&Fd, &str),
        second: (&Fd, &str),
    ) -> Option<(Subject, Subject)> {
        let as_is =
            |(fd, path): (&Fd, &str)| Subject { fd: borrow(fd), own: false, path: path.to_owned() };
        match (self.resolve(first.0, first.1, false), self.resolve(second.0, second.1, false)) {
            (None, None) => None,
            (a, b) => Some((a.unwrap_or_else(|| as_is(first)), b.unwrap_or_else(|| as_is(second)))),
        }
    }

    /// What a link holds.
    pub(super) fn link_target(&self, fd: &Fd, path: &str) -> Option<String> {
        self.tree.link_target(self.opened.path(fd.rep())?, path)
    }

    /// Remembers a directory that the guest opened.
    pub(super) fn remember(&mut self, parent: &Fd, path: &str, fd: &Fd) {
        self.opened.insert_below(parent.rep(), path, fd.rep());
    }

    /// Remembers what is preopened.
    pub(super) fn remember_preopened(&mut self, directories: &[(Fd, String)]) {
        for (fd, name) in directories {
            self.opened.insert_preopened(fd.rep(), name.trim_matches('/').to_owned());
        }
    }

    pub(super) fn done(&mut self, subject: Subject) {
        if subject.own {
            let _ = self.inner.table.delete(subject.fd);
        }
    }
}
