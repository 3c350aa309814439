//! Finding a name in stacked layers, as overlayfs would: whiteouts, opaque directories, merged directories.

use crate::sys::{self, NodeKind};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Where a name really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the topmost layer that has it.
    pub path: PathBuf,
    /// Which of the layers that is.
    pub layer: usize,
    pub kind: NodeKind,
}

/// As the kernel's limit.
const SYMLINK_LIMIT: usize = 40;

/// Finds `path` in `layers` (top first). Symbolic links are followed inside the root, the last one only if
/// `follow`. The layers must not be changed meanwhile: this is for trees that no guest uses.
pub fn find(layers: &[PathBuf], path: &Path, follow: bool) -> io::Result<Option<Found>> {
    let mut names: VecDeque<OsString> = parts(path).collect();
    // the directories from the root to where we are, each with the layers that have it
    let mut stack = vec![root(layers)];
    let mut symlinks = 0;
    while let Some(name) = names.pop_front() {
        if name == ".." {
            if stack.len() > 1 {
                stack.pop();
            }
            continue;
        }
        let Some(directory) = stack.last() else { return Ok(None) };
        let Some(entry) = lookup(directory, &name)? else { return Ok(None) };
        match entry {
            Entry::Directory(directory) => stack.push(directory),
            Entry::Node(found)
                if found.kind == NodeKind::Symlink && (follow || !names.is_empty()) =>
            {
                symlinks += 1;
                if symlinks > SYMLINK_LIMIT {
                    return Ok(None);
                }
                let target = sys::read_link(&found.path)?;
                if target.is_absolute() {
                    stack.truncate(1);
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    names.push_front(part);
                }
            }
            Entry::Node(found) => return Ok(names.is_empty().then_some(found)),
        }
    }
    let top = stack.last().and_then(|directory| directory.first());
    Ok(top.map(|(layer, path)| Found {
        path: path.clone(),
        layer: *layer,
        kind: NodeKind::Directory,
    }))
}

/// The layers that have one directory, top first, and where.
pub type Directory = Vec<(usize, PathBuf)>;

pub enum Entry {
    Directory(Directory),
    Node(Found),
}

/// The root directory of stacked layers.
pub fn root(layers: &[PathBuf]) -> Directory {
    layers.iter().cloned().enumerate().collect()
}

/// Everything in a merged directory, sorted.
pub fn children(directory: &Directory) -> io::Result<Vec<(OsString, Entry)>> {
    let mut names = std::collections::BTreeSet::new();
    for (_, path) in directory {
        names.extend(sys::names(path)?);
    }
    let mut children = Vec::with_capacity(names.len());
    for name in names {
        let name = OsString::from_vec(name);
        if let Some(entry) = lookup(directory, &name)? {
            children.push((name, entry));
        }
    }
    Ok(children)
}

/// One name in a merged directory; `None` if no layer has it, or the topmost removed it.
pub fn lookup(directory: &Directory, name: &std::ffi::OsStr) -> io::Result<Option<Entry>> {
    let mut merged: Directory = Vec::new();
    for (layer, parent) in directory {
        let path = parent.join(name);
        match sys::node_kind(&path)? {
            None => {}
            Some(NodeKind::Directory) => {
                let opaque = sys::is_opaque(&path);
                merged.push((*layer, path));
                if opaque {
                    break;
                }
            }
            // a file or a whiteout below a directory hides what is further below
            Some(_) if !merged.is_empty() => break,
            Some(NodeKind::Whiteout) => return Ok(None),
            Some(kind) => return Ok(Some(Entry::Node(Found { path, layer: *layer, kind }))),
        }
    }
    Ok((!merged.is_empty()).then_some(Entry::Directory(merged)))
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}
