//! Layers that are made here rather than unpacked: what a build step changed becomes the layer's tree as it is.

use super::layers::Unfinished;
use super::snapshot::Snapshot;
use super::{Error, Hasher, LayerInfo, Result, Store, chain_ids, digest_of, export};
use crate::fsx;
use crate::image::Digest;
use crate::sys::{self, NodeKind, Tree};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A layer that a build step is filling. Dropping it, or the death of the process, leaves nothing for others to see.
#[derive(Debug)]
pub struct LayerBuild {
    store: Store,
    unfinished: Unfinished,
}

/// A layer that was built and is in `layers/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltLayer {
    pub chain: Digest,
    pub info: LayerInfo,
}

impl Store {
    /// Begins a layer. The caller has a [`Store::hold`].
    pub fn build_layer(&self) -> Result<LayerBuild> {
        Ok(LayerBuild { store: self.clone(), unfinished: Unfinished::create(self, "build")? })
    }

    /// The layer that an archive of a build would be: its tree, whose `diff_id` is known, on top of `below`. Shares the
    /// files with the layer `from`, which holds the same changes on top of other layers.
    pub fn rebase_layer(&self, from: &Digest, below: Option<&Digest>) -> Result<BuiltLayer> {
        let source = self.layer_path(from);
        let layer = self.build_layer()?;
        let failed = |source_error| Error::Copy { path: source.clone(), source: source_error };
        let tree = Tree::open(&layer.upper(), sys::is_superuser()).map_err(failed)?;
        link_tree(&source, &tree, b"").map_err(failed)?;
        layer.finish(below, None)
    }

    /// Writes a layer that was built here as the archive that has its diff id.
    pub fn export_layer(&self, chain: &Digest, out: &mut dyn Write) -> Result<()> {
        export::export_changes(&self.layer_path(chain), out)
    }
}

/// The chain id of a layer with this diff id.
pub fn chain_above(below: Option<&Digest>, diff_id: &Digest) -> Digest {
    match below {
        None => diff_id.clone(),
        Some(below) => digest_of(format!("{below} {diff_id}").as_bytes()),
    }
}

impl LayerBuild {
    /// The tree to fill, in overlayfs's form.
    pub fn upper(&self) -> PathBuf {
        self.unfinished.tree()
    }

    /// A folder beside the tree, for what a step needs besides; it goes with the end of the step.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.unfinished.folder().join(name);
        fsx::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// What a step mounts whose changes are to be in this layer; `lower` top first.
    pub fn snapshot(&self, lower: Vec<PathBuf>) -> Result<Snapshot> {
        // made by the mount, with the attributes of the root below
        fsx::remove_dir_all(&self.upper())?;
        let folder = self.unfinished.folder();
        Ok(Snapshot {
            lower,
            upper: self.upper(),
            work: folder.join("work"),
            target: folder.join("rootfs"),
        })
    }

    /// Gives the layer its name. No file of it is younger than `latest` (seconds since 1970) afterwards.
    pub fn finish(self, below: Option<&Digest>, latest: Option<i64>) -> Result<BuiltLayer> {
        let upper = self.upper();
        let failed = |source| Error::Copy { path: upper.clone(), source };
        if let Some(latest) = latest {
            let tree = Tree::open(&upper, sys::is_superuser()).map_err(failed)?;
            clamp(&tree, b"", latest).map_err(failed)?;
        }
        let mut hashing = Hashing { hasher: Hasher::sha256() };
        let exported = export::export_changes_counting(&upper, &mut hashing)?;
        let diff_id = hashing.hasher.finish();
        let chain = chain_above(below, &diff_id);
        let info = LayerInfo {
            size: exported.bytes,
            entries: exported.entries,
            other_owners: exported.other_owners,
            ..LayerInfo::of(diff_id)
        };
        let folder = self.store.layer_folder(&chain);
        if !self.store.has_layer(&chain) {
            self.store.remove_lost(&chain)?;
            self.unfinished.keep_only_tree()?;
            self.unfinished.complete(&folder, &info)?;
        }
        Ok(BuiltLayer { chain, info })
    }
}

/// Gives everything that is younger this time.
fn clamp(tree: &Tree, path: &[u8], latest: i64) -> io::Result<()> {
    let folder = tree.folder_itself(path)?;
    for name in folder.names()? {
        let place = folder.path_of(&name);
        let attributes = sys::attributes_of(&place)?;
        if attributes.kind == NodeKind::Directory {
            let inner = [path, b"/", &name].concat();
            clamp(tree, inner.strip_prefix(b"/").unwrap_or(&inner), latest)?;
        }
        if attributes.mtime.0 >= latest {
            folder.set_mtime_of(&name, (latest, 0))?;
        }
    }
    if path.is_empty() {
        folder.set_mtime((latest, 0))?;
    }
    Ok(())
}

/// Makes the directories of one tree again in another, and links the files.
fn link_tree(from: &Path, into: &Tree, path: &[u8]) -> io::Result<()> {
    let source = from.join(sys::os_path(path));
    let folder = into.folder_itself(path)?;
    for name in sys::names(&source)? {
        let place = source.join(sys::os_path(&name));
        let attributes = sys::attributes_of(&place)?;
        if attributes.kind != NodeKind::Directory {
            folder.make_link_to(&name, &place)?;
            continue;
        }
        folder.make_directory(&name)?;
        let inner = [path, b"/", &name].concat();
        let inner = inner.strip_prefix(b"/").unwrap_or(&inner);
        link_tree(from, into, inner)?;
        let made = folder.open(&name)?;
        if sys::is_opaque(&place) {
            made.set_opaque(sys::is_superuser())?;
        }
        into.set_attributes(&made, &attributes.borrow())?;
    }
    let attributes = sys::attributes_of(&source)?;
    into.set_attributes(&folder, &attributes.borrow())
}

struct Hashing {
    hasher: Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The chain ids of a variant's layers, bottom first, by its configuration alone.
pub fn chains_of(config: &crate::image::ImageConfig) -> Result<Vec<Digest>> {
    let parse =
        |text: &String| text.parse().map_err(|_| Error::InvalidDiffId { text: text.clone() });
    let diff_ids = config.rootfs.diff_ids.iter().map(parse).collect::<Result<Vec<Digest>>>()?;
    Ok(chain_ids(&diff_ids))
}
