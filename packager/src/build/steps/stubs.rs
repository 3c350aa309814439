//! What mounts leave in a layer: the files and directories that were made to mount on.
//!
//! Before a step it is noted which of them are missing; after it those that are still empty are removed, and so are
//! directories that are in the layer only because something was made in them.

use crate::build::files::{Files, clean, lossy, split};
use crate::build::{Error, files};
use knarr_core::sys::{self, NodeKind, Tree};
use std::io;
use std::path::{Path, PathBuf};

/// Where every container has something mounted.
const ALWAYS: &[&str] =
    &["/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// Paths (relative, without links) that were not there before the step, parents first.
pub struct Stubs {
    missing: Vec<Vec<u8>>,
    below: Files,
}

impl Stubs {
    /// `trees`: the layers below, top first.
    pub fn note<'a>(trees: &[PathBuf], targets: impl Iterator<Item = &'a str>) -> Self {
        let below = Files::Layers(trees.to_vec());
        let mut missing = Vec::new();
        for target in ALWAYS.iter().copied().chain(targets) {
            missing.extend(missing_of(&below, &clean(target.as_bytes())));
        }
        missing.sort();
        missing.dedup();
        Self { missing, below }
    }

    /// Removes what is left of them in the tree of a layer.
    pub fn clean(&self, upper: &Path) -> Result<(), Error> {
        let tree = Tree::open(upper, sys::is_superuser()).map_err(failed("open", b""))?;
        for path in self.missing.iter().rev() {
            remove_if_empty(&tree, path).map_err(failed("remove", path))?;
        }
        let mut parents: Vec<&[u8]> = Vec::new();
        for path in &self.missing {
            let mut parent = split(path).0;
            while !parent.is_empty() {
                parents.push(parent);
                parent = split(parent).0;
            }
        }
        parents.sort();
        parents.dedup();
        for parent in parents.into_iter().rev() {
            self.remove_unchanged(&tree, parent).map_err(failed("remove", parent))?;
        }
        Ok(())
    }

    /// A directory that is empty in the layer and looks as it does below is there by accident.
    fn remove_unchanged(&self, tree: &Tree, path: &[u8]) -> io::Result<()> {
        let Ok(folder) = tree.folder_itself(path) else { return Ok(()) };
        let Some((_place, found)) = self.below.entry(path)? else { return Ok(()) };
        if found.kind != NodeKind::Directory {
            return Ok(());
        }
        let (parent, name) = split(path);
        let above = tree.folder_itself(parent)?;
        let place = above.path_of(name);
        let (own, before) = (sys::attributes_of(&place)?, sys::attributes_of(&found.real)?);
        let is_same = (own.mode, own.uid, own.gid, &own.xattrs)
            == (before.mode, before.uid, before.gid, &before.xattrs);
        if !is_same || sys::is_opaque(&place) {
            return Ok(());
        }
        if folder.names()?.is_empty() {
            return above.remove(name);
        }
        Ok(())
    }
}

/// What is missing of a path, links followed: also of one that leads to nothing.
fn missing_of(below: &Files, path: &[u8]) -> Vec<Vec<u8>> {
    // nothing can be made where a file or a circle of links is in the way, and whoever tries says so
    let Ok((found, names)) = below.reach(path) else { return Vec::new() };
    let mut here = found.path;
    let grown = names.iter().map(|name| {
        files::push(&mut here, name);
        here.clone()
    });
    grown.collect()
}

fn remove_if_empty(tree: &Tree, path: &[u8]) -> io::Result<()> {
    let (parent, name) = split(path);
    let Ok(folder) = tree.folder_itself(parent) else { return Ok(()) };
    let place = folder.path_of(name);
    match sys::node_kind(&place)? {
        Some(NodeKind::Directory) if folder.open(name)?.names()?.is_empty() => {
            folder.remove(name)?;
        }
        Some(NodeKind::Other) => {
            let (attributes, identity) = sys::look(&place)?;
            if attributes.special.is_none() && identity.size == 0 {
                folder.remove(name)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn failed(operation: &'static str, path: &[u8]) -> impl Fn(io::Error) -> Error + use<> {
    let path = format!("/{}", lossy(path));
    move |source| Error::Content {
        operation,
        path: path.clone(),
        place: "in the image".into(),
        source,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // of a test
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_was_made_for_mounts_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (lower, upper) = (directory.path().join("lower"), directory.path().join("upper"));
        fs::create_dir_all(lower.join("etc")).unwrap();
        fs::create_dir_all(lower.join("run")).unwrap();
        fs::create_dir_all(lower.join("var")).unwrap();
        symlink("/run", lower.join("var/run")).unwrap();
        symlink("../run/dns", lower.join("etc/resolv.conf")).unwrap();
        let targets = ["/var/run/secrets/key", "/cache/deep", "/kept", "/etc"];
        let stubs = Stubs::note(std::slice::from_ref(&lower), targets.into_iter());
        for path in ["run/secrets", "cache/deep", "etc", "dev", "proc", "kept", "srv"] {
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        for path in ["run/secrets/key", "run/dns", "etc/hosts", "srv/empty"] {
            fs::write(upper.join(path), "").unwrap();
        }
        fs::write(upper.join("kept/file"), "by the step").unwrap();
        stubs.clean(&upper).unwrap();
        let mut left: Vec<String> = knarr_core::fsx::list(&upper).unwrap();
        left.sort();
        assert_eq!(left, ["kept", "srv"]);
    }
}
