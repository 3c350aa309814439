//! Copying stacked layers into one tree, where overlays cannot be had.

use super::merged::{self, Directory, Entry};
use super::{Error, Result};
use crate::sys::{self, NodeKind, Tree};
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Fills the empty directory `target` with what an overlay of `layers` (top first) would show. With `time` (seconds) that
/// is the time of all of it.
pub fn copy_merged(layers: &[PathBuf], target: &Path, time: Option<i64>) -> Result<()> {
    let tree = Tree::open(target, sys::is_superuser())
        .map_err(|source| Error::Copy { path: target.to_owned(), source })?;
    let mut copier = Copier { tree, time, links: HashMap::new() };
    copier.directory(&merged::root(layers), &mut Vec::new())
}

struct Copier {
    tree: Tree,
    time: Option<i64>,
    /// Where files with several names were copied to, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Copier {
    fn directory(&mut self, directory: &Directory, path: &mut Vec<u8>) -> Result<()> {
        let Some((_, top)) = directory.first() else { return Ok(()) };
        let failed = |source| Error::Copy { path: top.clone(), source };
        let into = self.tree.folder_itself(path).map_err(failed)?;
        for (name, entry) in merged::children(directory).map_err(failed)? {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            match entry {
                Entry::Directory(child) => {
                    into.make_directory(name.as_bytes()).map_err(failed)?;
                    self.directory(&child, path)?;
                }
                Entry::Node(found) => self
                    .node(&into, name.as_bytes(), &found, path)
                    .map_err(|source| Error::Copy { path: found.path.clone(), source })?,
            }
            path.truncate(length);
        }
        // last, as making files in it changes its time
        let attributes = self.attributes_of(top).map_err(failed)?;
        self.tree.set_attributes(&into, &attributes.borrow()).map_err(failed)?;
        // an ordinary user's layers have modes that let their owner read, and this one may be read-only
        into.set_mode(attributes.mode).map_err(failed)
    }

    fn attributes_of(&self, path: &Path) -> io::Result<sys::OwnedAttributes> {
        let attributes = sys::attributes_of(path)?;
        let mtime = self.time.map_or(attributes.mtime, |seconds| (seconds, 0));
        Ok(sys::OwnedAttributes { mtime, ..attributes })
    }

    fn node(
        &mut self,
        into: &sys::Folder,
        name: &[u8],
        found: &merged::Found,
        path: &[u8],
    ) -> io::Result<()> {
        let attributes = self.attributes_of(&found.path)?;
        if let Some(identity) = attributes.shared {
            if let Some(first) = self.links.get(&identity) {
                let (parent, first_name) = super::unpack::split(first);
                let from = self.tree.folder_itself(parent)?;
                return into.make_link(name, &from, first_name);
            }
            self.links.insert(identity, path.to_vec());
        }
        match found.kind {
            NodeKind::Symlink => {
                let target = sys::read_link(&found.path)?;
                into.make_symlink(name, target.as_os_str().as_bytes())?;
            }
            _ => match attributes.special {
                None => {
                    let file = into.make_file(name)?;
                    sys::copy_content(&found.path, &file)?;
                    return self.tree.set_file_attributes(&file, &attributes.borrow());
                }
                Some(special) => match into.make_special(name, special) {
                    // an ordinary user gets no devices, as in unpacking
                    Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
                    other => other?,
                },
            },
        }
        self.tree.set_node_attributes(into, name, found.kind, &attributes.borrow())
    }
}
