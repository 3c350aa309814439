//! What an archive leaves to the layers below it, filled in once those are unpacked.
//!
//! Docker's overlay2 gives such directories mode 0755 and owner root, so that a layer with nothing but
//! `tmp/file` takes the sticky bit off `/tmp`; containerd, which unpacks onto the layers below, does not.

use super::path::split;
use super::tar::lossy;
use super::{Error, Unpacked};
use crate::store::merged;
use crate::sys::{self, NodeKind, Tree};
use std::io;
use std::path::{Path, PathBuf};

/// Completes the layer at `into` from the layers `below` (top first).
pub fn settle(into: &Path, unpacked: &Unpacked, below: &[PathBuf]) -> Result<(), Error> {
    let superuser = sys::is_superuser();
    let failed = |operation, name: &[u8]| {
        let name = lossy(name);
        move |source: io::Error| Error::Entry { operation, name, source }
    };
    let tree = Tree::open(into, superuser).map_err(failed("open", b"/"))?;
    for path in &unpacked.implied {
        let found = merged::find(below, sys::os_path(path), false)
            .map_err(failed("look below for", path))?;
        let Some(found) = found.filter(|f| f.kind == NodeKind::Directory) else { continue };
        let attributes = sys::attributes_of(&found.path).map_err(failed("inspect below", path))?;
        let folder = tree.folder_itself(path).map_err(failed("open", path))?;
        tree.set_attributes(&folder, &attributes.borrow())
            .map_err(failed("set the attributes of", path))?;
    }
    for (name, target) in &unpacked.links {
        let found = merged::find(below, sys::os_path(target), false)
            .map_err(failed("look below for", target))?;
        let Some(found) = found.filter(|f| f.kind != NodeKind::Directory) else {
            return Err(Error::LinkToNothing { name: lossy(name), target: lossy(target) });
        };
        let (parent, last) = split(name);
        let folder = tree.folder(parent).map_err(failed("open the directory of", name))?;
        // layers never change, so both may share the file
        match folder.make_link_to(last, &found.path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(failed("create the hard link", name))?,
        }
    }
    if unpacked.opaque_root {
        for layer in below {
            let names = sys::names(layer).map_err(failed("list the layer below", b"/"))?;
            for name in names {
                hide(&tree, &name, superuser).map_err(failed("hide", &name))?;
            }
        }
    }
    Ok(())
}

/// Hides a name of the layers below; what this layer has of that name stays.
fn hide(tree: &Tree, name: &[u8], superuser: bool) -> io::Result<()> {
    match tree.root().make_whiteout(name) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match tree.root().kind_of(name)? {
            NodeKind::Directory => tree.root().open(name)?.set_opaque(superuser),
            _ => Ok(()),
        },
        other => other,
    }
}
