//! Writing into a layer: a directory that overlayfs will put on top of others, filled without mounting anything.
//!
//! Names are looked up in this layer and those below as the mounted whole would show them, and made in this layer only. A
//! directory that is changed is first made here with the attributes it has below, as overlayfs does.

use crate::build::Error;
use crate::build::files::{Files, Found, Place, components, join, lossy, push, split};
use knarr_core::store::LayerBuild;
use knarr_core::sys::{self, Folder, NodeKind, OwnedAttributes, Tree};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the content of a file is, or the target of a link.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    At(&'a Path),
    Bytes(&'a [u8]),
}

/// The layer that is being written.
pub struct Target {
    tree: Tree,
    view: Files,
    below: Files,
    changed: bool,
    /// Directories that were made here: nothing below has them, and nothing but this layer need be looked at in them.
    fresh: HashSet<Vec<u8>>,
    /// The directory that was written to last: files come in the order of their directories.
    last: Option<(Vec<u8>, Folder)>,
    /// The first names of files with several, by device and inode of the source.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// Whether what is made takes the place of something of another kind, as with archives: a directory that of a link,
    /// a file that of a directory with all that is in it.
    pub replaces: bool,
}

impl Target {
    /// `lower`: the layers below, top first.
    pub fn new(layer: &LayerBuild, lower: &[PathBuf]) -> Result<Self, Error> {
        let upper = layer.upper();
        let failed = failed("open", b"");
        let tree = Tree::open(&upper, sys::is_superuser()).map_err(&failed)?;
        let root = match lower.first() {
            Some(top) => sys::attributes_of(top).map_err(&failed)?,
            None => directory(0o755, (0, 0), (0, 0)),
        };
        tree.set_attributes(tree.root(), &root.borrow()).map_err(&failed)?;
        let layers = [&[upper][..], lower].concat();
        Ok(Self {
            tree,
            view: Files::Layers(layers),
            below: Files::Layers(lower.to_vec()),
            changed: false,
            fresh: HashSet::new(),
            last: None,
            links: HashMap::new(),
            replaces: false,
        })
    }

    /// A folder of the host, with nothing below.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        let tree = Tree::open(folder, sys::is_superuser()).map_err(failed("open", b""))?;
        Ok(Self {
            tree,
            view: Files::Layers(vec![folder.to_owned()]),
            below: Files::Layers(Vec::new()),
            changed: false,
            fresh: HashSet::new(),
            last: None,
            links: HashMap::new(),
            replaces: false,
        })
    }

    /// What the root file system looks like by now.
    pub fn view(&self) -> &Files {
        &self.view
    }

    /// Whether anything was made.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Begins another copy: names of one file are linked within one only.
    pub fn forget_links(&mut self) {
        self.links.clear();
    }

    /// Finds a directory, symbolic links followed inside the root, and makes what is missing of it. Returns where it is,
    /// without links, and whether it was there.
    pub fn directory(
        &mut self,
        path: &[u8],
        missing: &OwnedAttributes,
    ) -> Result<(Vec<u8>, bool), Error> {
        let failed = failed("find", path);
        let (found, names) = self.view.reach(path).map_err(&failed)?;
        if !found.is_directory {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok((self.directories(found.path, &names, missing)?, names.is_empty()))
    }

    /// Where a file is to be made that may be called by a link: the directories on the way are made. The second value
    /// says whether a directory is there.
    pub fn file(
        &mut self,
        path: &[u8],
        missing: &OwnedAttributes,
    ) -> Result<(Vec<u8>, bool), Error> {
        let (found, mut names) = self.view.reach(path).map_err(failed("find", path))?;
        let Some(last) = names.pop() else { return Ok((found.path, found.is_directory)) };
        let parent = self.directories(found.path, &names, missing)?;
        Ok((join(&parent, &last), false))
    }

    fn directories(
        &mut self,
        mut path: Vec<u8>,
        names: &[Vec<u8>],
        attributes: &OwnedAttributes,
    ) -> Result<Vec<u8>, Error> {
        for name in names {
            push(&mut path, name);
            self.make_directory(&path, attributes, true)?;
        }
        Ok(path)
    }

    /// What is at a path whose directories are no links; `None` if nothing.
    pub fn kind(&self, path: &[u8]) -> Result<Option<NodeKind>, Error> {
        if path.is_empty() {
            return Ok(Some(NodeKind::Directory));
        }
        let (parent, name) = split(path);
        if self.fresh.contains(parent) {
            let folder = self.tree.folder_itself(parent).map_err(failed("find", path))?;
            return match folder.kind_of(name) {
                Ok(kind) => Ok(Some(kind)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(failed("find", path)(e)),
            };
        }
        match self.view.entry(path) {
            Ok(found) => Ok(found.map(|(_, found)| found.kind)),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(e) => Err(failed("find", path)(e)),
        }
    }

    /// Makes a directory whose parent is there. One that is there already is given the attributes only if `overwrite`.
    pub fn make_directory(
        &mut self,
        path: &[u8],
        attributes: &OwnedAttributes,
        overwrite: bool,
    ) -> Result<(), Error> {
        let failed = failed("create the directory", path);
        match self.kind(path)? {
            Some(NodeKind::Directory) if !overwrite => return Ok(()),
            Some(NodeKind::Directory) => self.copy_up(path)?,
            Some(_) if !self.replaces => return Err(failed(io::ErrorKind::NotADirectory.into())),
            other => {
                let (parent, name) = split(path);
                self.copy_up(parent)?;
                let folder = self.tree.folder_itself(parent).map_err(&failed)?;
                if other.is_some() {
                    folder.remove(name).map_err(&failed)?;
                }
                folder.make_directory(name).map_err(&failed)?;
                if other.is_some() && self.is_directory_below(path) {
                    // a copy before had put something else in its place: what is in it must not show again
                    let made = folder.open(name).map_err(&failed)?;
                    made.set_opaque(sys::is_superuser()).map_err(&failed)?;
                }
                self.fresh.insert(path.to_vec());
            }
        }
        self.changed = true;
        let made = self.tree.folder_itself(path).map_err(&failed)?;
        self.tree.set_attributes(&made, &attributes.borrow()).map_err(&failed)
    }

    fn is_directory_below(&self, path: &[u8]) -> bool {
        let found = self.below.entry(path).ok().flatten();
        found.is_some_and(|(_, found)| found.kind == NodeKind::Directory)
    }

    /// Gives directories their times, parents first in the list: once nothing more is made in them, which changes it.
    pub fn set_directory_times(&self, times: Vec<(Vec<u8>, (i64, u32))>) -> Result<(), Error> {
        for (path, mtime) in times.into_iter().rev() {
            let failed = failed("set the time of", &path);
            // one that was there and unchanged is not in this layer
            match self.tree.folder_itself(&path) {
                Ok(folder) => folder.set_mtime(mtime).map_err(failed)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(())
    }

    /// Makes a file, link or special file whose parent directory is there, in place of whatever file is there, and of a
    /// directory where [`Self::replaces`] says so.
    pub fn make_node(
        &mut self,
        path: &[u8],
        content: Content,
        attributes: &OwnedAttributes,
    ) -> Result<(), Error> {
        let failed = failed("create", path);
        let parent = split(path).0;
        let in_the_way = self.kind(path)?;
        if in_the_way == Some(NodeKind::Directory) {
            if !self.replaces {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            self.fresh.retain(|fresh| !is_at_or_below(fresh, path));
            self.last = self.last.take().filter(|(last, _)| !is_at_or_below(last, path));
        }
        let folder = match self.last.take() {
            Some((path, folder)) if path == parent => folder,
            _ => {
                self.copy_up(parent)?;
                self.tree.folder_itself(parent).map_err(&failed)?
            }
        };
        let made = self.make_in(&folder, path, content, attributes, in_the_way.is_some());
        self.last = Some((parent.to_vec(), folder));
        made
    }

    fn make_in(
        &mut self,
        folder: &Folder,
        path: &[u8],
        content: Content,
        attributes: &OwnedAttributes,
        replace: bool,
    ) -> Result<(), Error> {
        let failed = failed("create", path);
        let name = split(path).1;
        if replace {
            folder.remove(name).map_err(&failed)?;
        }
        self.changed = true;
        if let Some(identity) = attributes.shared {
            if let Some(first) = self.links.get(&identity) {
                let (first_parent, first_name) = split(first);
                let from = self.tree.folder_itself(first_parent).map_err(&failed)?;
                return folder.make_link(name, &from, first_name).map_err(failed);
            }
            self.links.insert(identity, path.to_vec());
        }
        if attributes.kind == NodeKind::Symlink {
            let Content::At(real) = content else { return Err(failed(sys::symlink_loop())) };
            let target = sys::read_link(real).map_err(&failed)?;
            folder.make_symlink(name, target.as_os_str().as_bytes()).map_err(&failed)?;
        } else if let Some(special) = attributes.special {
            match folder.make_special(name, special) {
                // an ordinary user gets no devices, as in unpacking
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
                other => other.map_err(&failed)?,
            }
        } else {
            let mut file = folder.make_file(name).map_err(&failed)?;
            match content {
                Content::At(real) => sys::copy_content(real, &file).map_err(&failed)?,
                Content::Bytes(bytes) => file.write_all(bytes).map_err(&failed)?,
            }
            let set = self.tree.set_file_attributes(&file, &attributes.borrow());
            return set.map_err(failed);
        }
        let set =
            self.tree.set_node_attributes(folder, name, attributes.kind, &attributes.borrow());
        set.map_err(failed)
    }

    /// Makes the directories of a path, which exist below, in this layer.
    fn copy_up(&self, path: &[u8]) -> Result<(), Error> {
        if self.fresh.contains(path) {
            return Ok(());
        }
        let failed = failed("copy the directory", path);
        let mut parent: Vec<u8> = Vec::new();
        let mut place: Option<Place> = None;
        for name in components(path) {
            let here = join(&parent, name);
            let found: Option<Found> = match &place {
                None => self.below.root().and_then(|root| root.entry(name)).map_err(&failed)?,
                Some(place) => place.entry(name).map_err(&failed)?,
            };
            let found = found.filter(|found| found.kind == NodeKind::Directory);
            match self.tree.folder_itself(&here) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let found = found.as_ref().ok_or_else(|| failed(e))?;
                    let attributes = sys::attributes_of(&found.real).map_err(&failed)?;
                    let folder = self.tree.folder_itself(&parent).map_err(&failed)?;
                    folder.make_directory(name).map_err(&failed)?;
                    let made = folder.open(name).map_err(&failed)?;
                    self.tree.set_attributes(&made, &attributes.borrow()).map_err(&failed)?;
                }
                Err(e) => return Err(failed(e)),
            }
            place = match found {
                Some(found) => {
                    let above = match place {
                        None => self.below.root().map_err(&failed)?,
                        Some(place) => place,
                    };
                    Some(above.enter(name, &found).map_err(&failed)?)
                }
                // only in this layer: nothing below has it any more
                None => Some(Place::Layers(Vec::new())),
            };
            parent = here;
        }
        Ok(())
    }
}

fn is_at_or_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The attributes of a directory that is made on the way.
pub fn directory(mode: u32, owner: (u32, u32), mtime: (i64, u32)) -> OwnedAttributes {
    OwnedAttributes {
        mode,
        uid: owner.0,
        gid: owner.1,
        mtime,
        xattrs: Vec::new(),
        shared: None,
        kind: NodeKind::Directory,
        special: None,
        is_socket: false,
    }
}

/// Those of a file that is made here.
pub fn file(mode: u32, owner: (u32, u32), mtime: (i64, u32)) -> OwnedAttributes {
    let directory = directory(mode, owner, mtime);
    OwnedAttributes { kind: NodeKind::Other, ..directory }
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
