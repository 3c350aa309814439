//! Making the files of a layer, one entry of its archive after the other.

use super::path::{During, IMPLIED, inside, is_absent, split};
use super::spill::{Late, Spill};
use super::tar::{Entry, Kind, Reader, lossy};
use super::{Error, Options, Unpacked};
use crate::image::Digest;
use crate::store::layer::LayerInfo;
use crate::sys::{self, Attributes, Folder, NodeKind, Owners, Special, Tree};
use std::collections::HashSet;
use std::io::{self, BufRead, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// aufs's own files, of no meaning in a layer.
const AUFS: &[u8] = b".wh..wh.";

/// Zeros in pieces of this size become holes: Docker writes sparse files (such as /var/log/lastlog) in full.
const HOLE: usize = 1 << 16;
static ZEROS: [u8; HOLE] = [0; HOLE];

pub struct Placer<'a> {
    pub(super) tree: &'a Tree,
    pub(super) options: &'a Options,
    /// The directory of the entry before: mostly that of the next one.
    current: Option<(Vec<u8>, Folder)>,
    times: Spill,
    pub(super) implied: HashSet<Vec<u8>>,
    links: Vec<(Vec<u8>, Vec<u8>)>,
    opaque_root: bool,
    size: u64,
    entries: u64,
    skipped_devices: u64,
    other_owners: u64,
    unknown_owners: u64,
}

impl<'a> Placer<'a> {
    pub fn new(tree: &'a Tree, path: &Path, options: &'a Options) -> Result<Self, Error> {
        tree.set_attributes(tree.root(), &IMPLIED).during("set the attributes of", b"/")?;
        Ok(Self {
            tree,
            options,
            current: None,
            times: Spill::new(path),
            implied: HashSet::new(),
            links: Vec::new(),
            opaque_root: false,
            size: 0,
            entries: 0,
            skipped_devices: 0,
            other_owners: 0,
            unknown_owners: 0,
        })
    }

    pub fn place<R: BufRead>(
        &mut self,
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        self.entries += 1;
        let path =
            inside(&entry.name).ok_or_else(|| Error::Outside { name: lossy(&entry.name) })?;
        if path.is_empty() {
            return match entry.kind {
                Kind::Directory => self.root(entry),
                _ => Err(Error::Outside { name: lossy(&entry.name) }),
            };
        }
        let (parent, name) = split(&path);
        let folder = match self.current.take() {
            Some((path, folder)) if path == parent => folder,
            _ => self.parent(parent)?,
        };
        if name.starts_with(WHITEOUT) {
            self.whiteout(&folder, parent, name)?;
        } else if entry.kind == Kind::Directory {
            let made = self.directory(&folder, &path, name, entry)?;
            self.current = Some((path, made));
            return Ok(());
        } else {
            self.node(&folder, &path, name, entry, reader)?;
        }
        self.current = Some((parent.to_vec(), folder));
        Ok(())
    }

    /// Sets the times of directories, last of all.
    pub fn finish(mut self, diff_id: &Digest) -> Result<Unpacked, Error> {
        self.current = None;
        let tree = self.tree;
        self.times.for_each(|late| {
            let folder = match tree.folder_itself(&late.path) {
                Ok(folder) => folder,
                // a later entry put something else in its place
                Err(e) if is_absent(&e) => return Ok(()),
                Err(e) => return Err(e).during("open", &late.path),
            };
            // an ordinary user needed the right to write; to read is kept, for copies
            if !tree.keeps_owners() && late.mode & 0o200 == 0 {
                folder.set_mode(late.mode | 0o500).during("set the mode of", &late.path)?;
            }
            folder.set_mtime(late.mtime).during("set the time of", &late.path)
        })?;
        let mut implied: Vec<_> = self.implied.into_iter().collect();
        implied.sort();
        Ok(Unpacked {
            info: LayerInfo {
                diff_id: diff_id.clone(),
                size: self.size,
                entries: self.entries,
                skipped_devices: self.skipped_devices,
                other_owners: self.other_owners,
                unknown_owners: self.unknown_owners,
            },
            bottom: self.options.bottom,
            implied,
            links: self.links,
            opaque_root: self.opaque_root,
        })
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Error> {
        let attributes = self.attributes(entry, false)?;
        self.tree
            .set_attributes(self.tree.root(), &attributes)
            .during("set the attributes of", b"/")?;
        self.late(&[], entry)
    }

    /// Whom this user's namespace does not have, root stands for.
    fn attributes<'e>(
        &mut self,
        entry: &'e Entry,
        with_time: bool,
    ) -> Result<Attributes<'e>, Error> {
        let (mut uid, mut gid) = (entry.uid, entry.gid);
        if (uid, gid) != (0, 0) {
            self.other_owners += 1;
            if self.tree.keeps_owners() {
                let [has_user, has_group] = sys::is_mapped(uid, gid);
                self.unknown_owners += u64::from(!has_user || !has_group);
                uid = if has_user { uid } else { 0 };
                gid = if has_group { gid } else { 0 };
            } else if sys::owners() == Owners::Mapped {
                return Err(Error::OutsideNamespace { name: lossy(&entry.name) });
            }
        }
        let mtime = with_time.then_some(entry.mtime);
        Ok(Attributes { mode: entry.mode, uid, gid, mtime, xattrs: &entry.xattrs })
    }

    fn late(&mut self, path: &[u8], entry: &Entry) -> Result<(), Error> {
        self.times.push(&Late { mode: entry.mode, mtime: entry.mtime, path: path.to_vec() })
    }

    fn directory(
        &mut self,
        parent: &Folder,
        path: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<Folder, Error> {
        let mut hides = false;
        match parent.make_directory(name) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let kind = parent.kind_of(name).during("inspect", path)?;
                if kind == NodeKind::Directory {
                    self.implied.remove(path);
                } else {
                    hides = kind == NodeKind::Whiteout;
                    parent.remove(name).during("replace", path)?;
                    parent.make_directory(name).during("create the directory", path)?;
                }
            }
            other => other.during("create the directory", path)?,
        }
        let folder = parent.open(name).during("open the directory", path)?;
        let attributes = self.attributes(entry, false)?;
        self.tree.set_attributes(&folder, &attributes).during("set the attributes of", path)?;
        if hides {
            self.opaque(&folder, path)?;
        }
        self.late(path, entry)?;
        Ok(folder)
    }

    fn node<R: BufRead>(
        &mut self,
        folder: &Folder,
        path: &[u8],
        name: &[u8],
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<(), Error> {
        let attributes = self.attributes(entry, true)?;
        match entry.kind {
            Kind::File => {
                let file = self
                    .replacing(folder, path, name, |folder| folder.make_file(name))
                    .during("create", path)?;
                let mut end = 0;
                reader.data(entry, |offset, bytes| {
                    write_sparse(&file, offset, bytes, &mut end).during("write", path)
                })?;
                if end < entry.size {
                    file.set_len(entry.size).during("extend", path)?;
                }
                self.size = self.size.saturating_add(entry.size);
                self.tree
                    .set_file_attributes(&file, &attributes)
                    .during("set the attributes of", path)
            }
            Kind::HardLink => self.hard_link(folder, path, name, entry),
            Kind::Symlink => {
                self.replacing(folder, path, name, |folder| folder.make_symlink(name, &entry.link))
                    .during("create the symbolic link", path)?;
                self.tree
                    .set_node_attributes(folder, name, NodeKind::Symlink, &attributes)
                    .during("set the attributes of", path)
            }
            Kind::Character | Kind::Block | Kind::Fifo => {
                let (major, minor) = entry.device;
                let special = match entry.kind {
                    Kind::Character => Special::Character { major, minor },
                    Kind::Block => Special::Block { major, minor },
                    _ => Special::Fifo,
                };
                if special != Special::Fifo && !self.options.superuser {
                    self.skipped_devices += 1;
                    return Ok(());
                }
                let made =
                    self.replacing(folder, path, name, |folder| folder.make_special(name, special));
                if special != Special::Fifo
                    && made.as_ref().is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
                {
                    // a superuser without CAP_MKNOD
                    self.skipped_devices += 1;
                    return Ok(());
                }
                made.during("create the device", path)?;
                self.tree
                    .set_node_attributes(folder, name, NodeKind::Other, &attributes)
                    .during("set the attributes of", path)
            }
            Kind::Directory => Ok(()),
        }
    }

    fn hard_link(
        &mut self,
        folder: &Folder,
        path: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), Error> {
        let outside = || Error::LinkOutside { name: lossy(path), target: lossy(&entry.link) };
        let target = inside(&entry.link).filter(|t| !t.is_empty()).ok_or_else(outside)?;
        if target == path {
            return Ok(());
        }
        let (target_parent, target_name) = split(&target);
        let linked = match self.tree.folder(target_parent) {
            Ok(from) => match from.kind_of(target_name) {
                Ok(_) => self.replacing(folder, path, name, |folder| {
                    folder.make_link(name, &from, target_name)
                }),
                Err(e) => Err(e),
            },
            Err(e) => Err(e),
        };
        match linked {
            Err(e) if is_absent(&e) && !self.options.bottom => {
                self.links.push((path.to_vec(), target));
                Ok(())
            }
            Err(e) if is_absent(&e) => {
                Err(Error::LinkToNothing { name: lossy(path), target: lossy(&target) })
            }
            other => other.during("create the hard link", path),
        }
    }

    /// Makes something; what an earlier entry made under that name gives way.
    fn replacing<T>(
        &mut self,
        folder: &Folder,
        path: &[u8],
        name: &[u8],
        make: impl Fn(&Folder) -> io::Result<T>,
    ) -> io::Result<T> {
        match make(folder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                if folder.kind_of(name)? == NodeKind::Directory {
                    let below = [path, b"/"].concat();
                    self.implied.retain(|p| p != path && !p.starts_with(&below));
                }
                folder.remove(name)?;
                make(folder)
            }
            other => other,
        }
    }

    fn whiteout(&mut self, folder: &Folder, parent: &[u8], name: &[u8]) -> Result<(), Error> {
        if name == OPAQUE {
            return self.opaque(folder, parent);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        let removed = &name[WHITEOUT.len()..];
        if matches!(removed, b"" | b"." | b"..") {
            return Err(Error::InvalidWhiteout { name: lossy(&[parent, b"/", name].concat()) });
        }
        if self.options.bottom {
            return Ok(());
        }
        match folder.make_whiteout(removed) {
            // layer.md: it hides what is below, never what is in the same layer
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                match folder.kind_of(removed).during("inspect", removed)? {
                    NodeKind::Directory => {
                        let opaque = folder.open(removed).during("open the directory", removed)?;
                        self.opaque(&opaque, &[parent, b"/", removed].concat())
                    }
                    _ => Ok(()),
                }
            }
            other => other.during("mark the removal of", removed),
        }
    }

    pub(super) fn opaque(&mut self, folder: &Folder, path: &[u8]) -> Result<(), Error> {
        if self.options.bottom {
            return Ok(());
        }
        if path.is_empty() {
            self.opaque_root = true;
            return Ok(());
        }
        folder.set_opaque(self.options.superuser).during("mark as opaque", path)
    }
}

/// Writes but for long runs of zeros, which stay holes.
fn write_sparse(
    file: &std::fs::File,
    mut offset: u64,
    bytes: &[u8],
    end: &mut u64,
) -> io::Result<()> {
    for piece in bytes.chunks(HOLE) {
        let is_hole = piece.len() == HOLE && piece == ZEROS;
        if !is_hole {
            file.write_all_at(piece, offset)?;
            *end = offset + piece.len() as u64;
        }
        offset += piece.len() as u64;
    }
    Ok(())
}
