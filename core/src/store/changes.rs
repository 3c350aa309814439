//! What differs between a container's files and its image's.

use super::merged::{self, Directory, Entry};
use super::snapshot::{Snapshot, is_copied};
use super::{Error, Result};
use crate::sys::{self, NodeKind, OwnedAttributes};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What has become of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// A path that is not as it is in the image, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub kind: ChangeKind,
}

/// What the engines make to mount on, and what is theirs for being empty; Docker has it in a layer of its own.
const PLACES: [&str; 12] = [
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/pts",
    "/dev/shm",
    "/etc",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

/// The changes, sorted by path. A directory is changed if anything in it is, or its own attributes are. What vanishes
/// meanwhile is left out.
pub fn changes(snapshot: &Snapshot) -> Result<Vec<Change>> {
    let whole = is_copied(snapshot);
    let above = if whole { &snapshot.target } else { &snapshot.upper };
    let mut walk = Walk { whole, changes: Vec::new() };
    let below = merged::root(&snapshot.lower);
    match walk.directory(above, &below, Path::new("/"), false) {
        Err(e) if !is_gone(&e) => return Err(Error::Export { path: above.clone(), source: e }),
        _ => {}
    }
    // as texts, which is Docker's order
    walk.changes.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    Ok(walk.changes)
}

struct Walk {
    /// Above is all that there is, rather than what was changed.
    whole: bool,
    changes: Vec<Change>,
}

impl Walk {
    fn add(&mut self, path: &Path, kind: ChangeKind) {
        self.changes.push(Change { path: path.to_owned(), kind });
    }

    /// Compares what is in a directory; whether something that was left out is in it.
    fn directory(
        &mut self,
        above: &Path,
        below: &Directory,
        path: &Path,
        opaque: bool,
    ) -> io::Result<bool> {
        let mut has_places = false;
        let names: Vec<OsString> = sys::names(above)?.into_iter().map(OsString::from_vec).collect();
        for name in &names {
            match self.node(&above.join(name), merged::lookup(below, name)?, &path.join(name)) {
                Ok(left_out) => has_places |= left_out,
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        if opaque || self.whole {
            for (name, _) in merged::children(below)? {
                if names.binary_search(&name).is_err() {
                    self.add(&path.join(name), ChangeKind::Deleted);
                }
            }
        }
        Ok(has_places)
    }

    /// Compares what has one name; whether it was left out.
    fn node(&mut self, above: &Path, below: Option<Entry>, path: &Path) -> io::Result<bool> {
        let attributes = sys::attributes_of(above)?;
        let is_directory = attributes.kind == NodeKind::Directory;
        if attributes.kind == NodeKind::Whiteout {
            if below.is_some() {
                self.add(path, ChangeKind::Deleted);
            }
            return Ok(false);
        }
        let before = self.changes.len();
        let none = Vec::new();
        let has_places = match &below {
            _ if !is_directory => false,
            Some(Entry::Directory(merged)) => {
                self.directory(above, merged, path, sys::is_opaque(above))?
            }
            _ => self.directory(above, &none, path, false)?,
        };
        let has_changes = self.changes.len() > before;
        match below {
            None => {
                let is_place = PLACES.iter().any(|place| OsStr::new(place) == path);
                let is_empty = !has_changes
                    && (attributes.kind != NodeKind::Other || sys::look(above)?.1.size == 0);
                let left_out = is_place && is_empty;
                if !left_out {
                    self.add(path, ChangeKind::Added);
                }
                return Ok(left_out);
            }
            Some(Entry::Directory(merged)) if is_directory => {
                let top = merged.first().map(|(_, place)| sys::attributes_of(place)).transpose()?;
                let same = top.is_some_and(|top| is_same(&attributes, &top, !has_places));
                if has_changes || !same {
                    self.add(path, ChangeKind::Modified);
                }
            }
            Some(Entry::Node(found)) if self.whole => {
                let same = is_same(&attributes, &sys::attributes_of(&found.path)?, true)
                    && sys::look(above)?.1.size == sys::look(&found.path)?.1.size;
                if !same {
                    self.add(path, ChangeKind::Modified);
                }
            }
            Some(_) => self.add(path, ChangeKind::Modified),
        }
        Ok(false)
    }
}

/// `time`: also the time of modification.
fn is_same(one: &OwnedAttributes, other: &OwnedAttributes, time: bool) -> bool {
    (one.kind, one.mode, one.uid, one.gid) == (other.kind, other.mode, other.uid, other.gid)
        && (!time || one.mtime == other.mtime)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
