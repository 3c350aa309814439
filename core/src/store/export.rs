//! Writing trees as tar archives: `knarr export`, and the layers of builds.

use super::archive::append;
use super::{Error, Result};
use crate::sys::{self, NodeKind, Special, Tree};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use tar::{EntryType, Header};

/// Writes everything under `tree` as a tar archive: sorted, with hard links, extended attributes and numeric
/// owners, so that equal trees give equal archives. What an ordinary user's own is, is root's in the archive, as that
/// user's containers see it. Names are relative, as in image layers.
///
/// A guest may go on changing the tree: nothing outside it is read, and a file that shrinks meanwhile is
/// filled up with zeros.
pub fn export(tree: &Path, out: &mut dyn Write) -> Result<()> {
    write(tree, out, false).map(drop)
}

/// Writes what a container changed (the upper directory of its snapshot) as an image layer: overlayfs's marks
/// become whiteouts (OCI image-spec, layer.md "Whiteouts").
pub fn export_changes(upper: &Path, out: &mut dyn Write) -> Result<()> {
    write(upper, out, true).map(drop)
}

/// [`export_changes`] that also tells how much it was.
pub(super) fn export_changes_counting(upper: &Path, out: &mut dyn Write) -> Result<Exported> {
    write(upper, out, true)
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Exported {
    pub entries: u64,
    /// Of file content.
    pub bytes: u64,
    /// Entries of others than root.
    pub other_owners: u64,
}

fn write(path: &Path, out: &mut dyn Write, changes: bool) -> Result<Exported> {
    let failed = |source| Error::Export { path: path.to_owned(), source };
    let tree = Tree::open(path, false).map_err(failed)?;
    let mut exporter = Exporter {
        tree,
        out: tar::Builder::new(out),
        changes,
        links: HashMap::new(),
        own: sys::ordinary_user(),
        exported: Exported::default(),
    };
    exporter
        .directory(b"", false)
        .map_err(|(name, source)| Error::Export { path: path.join(sys::os_path(&name)), source })?;
    exporter.out.finish().map_err(failed)?;
    Ok(exporter.exported)
}

struct Exporter<'a> {
    tree: Tree,
    out: tar::Builder<&'a mut dyn Write>,
    changes: bool,
    /// The first names of files with several, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// User and group of an ordinary user who writes.
    own: Option<(u32, u32)>,
    exported: Exported,
}

type Failure = (Vec<u8>, io::Error);

impl Exporter<'_> {
    /// Writes what is in a directory; one that is gone or something else by now is left out.
    fn directory(&mut self, path: &[u8], opaque: bool) -> Result<(), Failure> {
        let failed = |e| (path.to_vec(), e);
        let folder = match self.tree.folder_itself(path) {
            Ok(folder) => folder,
            Err(e) if !path.is_empty() && is_gone(&e) => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        let join = |name: &[u8]| match path {
            b"" => name.to_vec(),
            path => [path, b"/", name].concat(),
        };
        if opaque {
            self.whiteout(&join(b".wh..wh..opq")).map_err(failed)?;
        }
        for name in folder.names().map_err(failed)? {
            let here = join(&name);
            let place = folder.path_of(&name);
            let attributes = match sys::attributes_of(&place) {
                Ok(attributes) => attributes,
                Err(e) if is_gone(&e) => continue,
                Err(e) => return Err((here, e)),
            };
            if self.changes && attributes.kind == NodeKind::Whiteout {
                let marked = join(&[b".wh.", &name[..]].concat());
                self.whiteout(&marked).map_err(|e| (here, e))?;
                continue;
            }
            self.node(&folder, &name, &here, &attributes).map_err(|e| (here.clone(), e))?;
            if attributes.kind == NodeKind::Directory {
                let opaque = self.changes && sys::is_opaque(&place);
                self.directory(&here, opaque)?;
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        folder: &sys::Folder,
        name: &[u8],
        path: &[u8],
        attributes: &sys::OwnedAttributes,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(attributes.mode);
        let own = self.own.as_ref();
        header.set_uid(if own.is_some_and(|(uid, _)| *uid == attributes.uid) {
            0
        } else {
            attributes.uid.into()
        });
        header.set_gid(if own.is_some_and(|(_, gid)| *gid == attributes.gid) {
            0
        } else {
            attributes.gid.into()
        });
        let is_root = matches!((header.uid(), header.gid()), (Ok(0), Ok(0)));
        self.exported.other_owners += u64::from(!is_root);
        header.set_mtime(u64::try_from(attributes.mtime.0).unwrap_or(0));
        header.set_size(0);
        let xattrs = &attributes.xattrs;
        if let Some(identity) = attributes.shared {
            if let Some(first) = self.links.get(&identity).cloned() {
                header.set_entry_type(EntryType::Link);
                return self.entry(header, path, &first, &[], io::empty());
            }
            self.links.insert(identity, path.to_vec());
        }
        match (attributes.kind, attributes.special) {
            (NodeKind::Directory, _) => {
                header.set_entry_type(EntryType::Directory);
                self.entry(header, &[path, b"/"].concat(), b"", xattrs, io::empty())
            }
            (NodeKind::Symlink, _) => {
                header.set_entry_type(EntryType::Symlink);
                let target = sys::read_link(&folder.path_of(name))?;
                self.entry(header, path, target.as_os_str().as_encoded_bytes(), xattrs, io::empty())
            }
            (_, Some(special)) => {
                let (kind, (major, minor)) = match special {
                    Special::Character { major, minor } => (EntryType::Char, (major, minor)),
                    Special::Block { major, minor } => (EntryType::Block, (major, minor)),
                    Special::Fifo => (EntryType::Fifo, (0, 0)),
                };
                header.set_entry_type(kind);
                header.set_device_major(major)?;
                header.set_device_minor(minor)?;
                self.entry(header, path, b"", xattrs, io::empty())
            }
            (_, None) if attributes.is_socket => Ok(()),
            (_, None) => {
                let file = match folder.open_file(name) {
                    Ok(file) => file,
                    Err(e) if is_gone(&e) => return Ok(()),
                    Err(e) => return Err(e),
                };
                let size = file.metadata()?.len();
                header.set_entry_type(EntryType::Regular);
                header.set_size(size);
                self.exported.bytes += size;
                self.entry(header, path, b"", xattrs, file.chain(io::repeat(0)).take(size))
            }
        }
    }

    fn whiteout(&mut self, path: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.entry(header, path, b"", &[], io::empty())
    }

    fn entry(
        &mut self,
        header: Header,
        path: &[u8],
        link: &[u8],
        xattrs: &[(Vec<u8>, Vec<u8>)],
        data: impl Read,
    ) -> io::Result<()> {
        self.exported.entries += 1;
        append(&mut self.out, header, path, link, xattrs, data)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == sys::symlink_loop().raw_os_error()
}
