//! Removing images, and collecting what nothing refers to any more.
//!
//! Two steps make this safe beside other processes: under `content.lock`, which nobody who adds content holds
//! then, what is garbage is found and loses its name; what takes long (deleting trees) comes after.

use super::sweep::Partials;
use super::{Error, Image, LayerInfo, Result, Store, Walk, images};
use crate::fsx;
use crate::image::{Descriptor, Digest, Reference};
use crate::lock::Lock;
use crate::record;
use crate::sys;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// That a container uses an image, whatever became of the image's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// For messages: the container's name or short id.
    pub container: String,
    /// [`crate::spec::SpecImage::manifest`]
    pub manifest: Digest,
    /// [`crate::spec::SpecImage::layers`]
    pub layers: Vec<Digest>,
    pub running: bool,
}

/// Lists what containers use; called while nobody can add to it.
pub type Usages<'a> =
    &'a dyn Fn() -> std::result::Result<Vec<Usage>, Box<dyn std::error::Error + Send + Sync>>;

/// One thing that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Untagged(Reference),
    /// An image, by its id.
    Image(Digest),
    /// A blob, and its size on disk.
    Blob {
        digest: Digest,
        bytes: u64,
    },
    /// An unpacked layer, by its chain id, and the size of its files.
    Layer {
        chain: Digest,
        bytes: u64,
    },
    /// What a process left that died while it added something, and the room that it took.
    Leftover {
        bytes: u64,
    },
}

impl Removed {
    /// The room that is free now.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Untagged(_) | Self::Image(_) => 0,
            Self::Blob { bytes, .. } | Self::Layer { bytes, .. } | Self::Leftover { bytes } => {
                *bytes
            }
        }
    }
}

/// What is to be taken away, and may be.
struct Doomed {
    image: Image,
    names: Vec<Reference>,
    /// The image goes with its names.
    is_last: bool,
    /// The image stays without a name, as something runs that is made from it.
    stays: bool,
    in_use: Vec<Usage>,
}

impl Doomed {
    fn removed(&self) -> Vec<Removed> {
        let image = self.is_last.then(|| Removed::Image(self.image.id().clone()));
        self.names.iter().cloned().map(Removed::Untagged).chain(image).collect()
    }
}

impl Store {
    /// `rmi`: takes a name away, or an id with all its names; the last name takes the image with it.
    ///
    /// Refused, unless forced, where an id has several names or a stopped container uses the image; where a running one does,
    /// force takes away a name alone. A container keeps what it needs of an image that was removed by force.
    pub fn remove(&self, text: &str, force: bool, usages: Usages) -> Result<Vec<Removed>> {
        let content = Lock::try_exclusive(&self.root.content_lock())?;
        let doomed = self.doomed(text, force, usages)?;
        let mut removed = doomed.removed();
        let Doomed { image, names, is_last, stays, in_use } = doomed;
        let id = image.id().clone();
        if stays {
            names.iter().try_for_each(|name| self.untag(name).map(drop))?;
            self.tell_removed(&id, &removed);
            return Ok(removed);
        }
        let forget = || {
            self.change_entries(|entries| {
                entries.retain(|entry| {
                    *entry.digest() != id
                        || (!is_last && !images::has_name(entry, image.reference.as_ref()))
                });
                Ok(())
            })
        };
        match forget() {
            Err(Error::File(e)) if content.is_some() && e.kind() == ErrorKind::StorageFull => {
                self.make_room(&image, &in_use)?;
                forget()?;
            }
            other => other?,
        }
        self.tell_removed(&id, &removed);
        if let Some(content) = content {
            removed.extend(self.collect_alone(content, &in_use, Partials::Recent)?);
        }
        Ok(removed)
    }

    /// What [`Self::remove`] would take away, but for what nothing else refers to.
    pub fn would_remove(&self, text: &str, force: bool, usages: Usages) -> Result<Vec<Removed>> {
        Ok(self.doomed(text, force, usages)?.removed())
    }

    fn doomed(&self, text: &str, force: bool, usages: Usages) -> Result<Doomed> {
        let image = self.find(text)?;
        let id = image.id().clone();
        let mut names: Vec<Reference> = self
            .images()?
            .into_iter()
            .filter(|i| *i.id() == id)
            .filter_map(|i| i.reference)
            .collect();
        let by_name = image.is_named(text);
        if !by_name && names.len() > 1 && !force {
            return Err(Error::SeveralNames {
                id: id.to_string(),
                references: names.iter().map(Reference::familiar).collect(),
            });
        }
        let in_use = usages().map_err(|source| Error::Usage { source })?;
        let is_last = !by_name || names.len() == 1;
        let mut stays = false;
        if is_last {
            match self.refuse_if_used(&image, &in_use, force) {
                Err(Error::InUse { .. }) if force && by_name => stays = true,
                result => result?,
            }
        } else {
            names.retain(|name| Some(name) == image.reference.as_ref());
        }
        Ok(Doomed { image, names, is_last: is_last && !stays, stays, in_use })
    }

    /// Removes blobs and layers that neither an image nor a container refers to, and the leftovers of processes
    /// that died. Does nothing while somebody holds the content ([`Store::hold`]).
    pub fn collect(&self, usages: Usages) -> Result<Vec<Removed>> {
        self.collect_with(usages, Partials::Recent)
    }

    /// [`Self::collect`] for those who want room: downloads that broke off are not kept for another attempt.
    pub fn prune(&self, usages: Usages) -> Result<Vec<Removed>> {
        self.collect_with(usages, Partials::None)
    }

    fn collect_with(&self, usages: Usages, kept: Partials) -> Result<Vec<Removed>> {
        let Some(content) = Lock::try_exclusive(&self.root.content_lock())? else {
            return Ok(Vec::new());
        };
        let in_use = usages().map_err(|source| Error::Usage { source })?;
        self.collect_alone(content, &in_use, kept)
    }

    /// On a full disk not even a shorter `index.json` can be written: what can be unpacked again goes first.
    fn make_room(&self, image: &Image, usages: &[Usage]) -> Result<()> {
        let mut chains = HashSet::new();
        self.walk(&image.descriptor, &mut |_, manifest| {
            if let Some(manifest) = manifest
                && let Ok(config) = self.config(manifest)
            {
                chains.extend(self.unpacker(manifest, &config)?.chains());
            }
            Ok(())
        })?;
        let used: HashSet<&Digest> = usages.iter().flat_map(|usage| &usage.layers).collect();
        for chain in chains.iter().filter(|chain| !used.contains(chain) && self.has_layer(chain)) {
            sys::remove_tree(&take_away(&self.layer_folder(chain))?)?;
        }
        Ok(())
    }

    /// Both kinds of layers' folders, and what is in them: a user's ids may have changed.
    pub(super) fn everything_in_layers(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut found = Vec::new();
        for folder in [self.root.layers(), self.root.mapped_layers()] {
            let names = fsx::list(&folder)?;
            found.extend(names.into_iter().map(|name| (folder.clone(), name)));
        }
        Ok(found)
    }

    fn refuse_if_used(&self, image: &Image, usages: &[Usage], force: bool) -> Result<()> {
        let mut manifests = HashSet::from([image.id().clone()]);
        match self.walk(&image.descriptor, &mut |descriptor, _| {
            manifests.insert(descriptor.digest().clone());
            Ok(())
        }) {
            // a damaged image can be removed
            Ok(()) => {}
            Err(e) if is_damage(&e) => {}
            Err(e) => return Err(e),
        }
        let mut users = usages.iter().filter(|usage| manifests.contains(&usage.manifest));
        let running = users.clone().find(|usage| usage.running);
        let user = running.or_else(|| users.next()).filter(|usage| usage.running || !force);
        match user {
            Some(usage) => Err(Error::InUse {
                image: image.display_name(),
                container: usage.container.clone(),
                running: usage.running,
            }),
            None => Ok(()),
        }
    }

    fn collect_alone(
        &self,
        content: Lock,
        usages: &[Usage],
        kept: Partials,
    ) -> Result<Vec<Removed>> {
        let live = self.live(usages)?;
        let mut removed = Vec::new();
        self.collect_blobs(&live, &mut removed)?;
        let mut trees = self.collect_layers(&live, &mut removed)?;
        trees.extend(self.abandoned(kept, &mut removed)?);
        self.sweep_index()?;
        drop(content);
        for tree in trees {
            sys::remove_tree(&tree)?;
        }
        Ok(removed)
    }

    /// Everything that images and containers refer to.
    fn live(&self, usages: &[Usage]) -> Result<Live> {
        let mut live = Live::default();
        live.layers.extend(self.cached_layers()?);
        for image in self.images()? {
            match self.mark(&image.descriptor, 0, &mut Walk::default(), &mut live) {
                Ok(()) => {}
                Err(e) if is_damage(&e) => {}
                Err(e) => return Err(e),
            }
        }
        for usage in usages {
            live.layers.extend(usage.layers.iter().cloned());
            live.blobs.insert(usage.manifest.clone());
            if let Ok(manifest) = self.manifest(&usage.manifest) {
                self.mark_manifest(&manifest, &mut live)?;
            }
        }
        Ok(live)
    }

    /// What cannot be read keeps only itself: nobody can run it, and a pull fetches the rest again.
    fn mark(&self, top: &Descriptor, depth: usize, walk: &mut Walk, live: &mut Live) -> Result<()> {
        let is_new = live.blobs.insert(top.digest().clone());
        if !walk.enter(top, depth)? || !is_new {
            return Ok(());
        }
        let bytes = match self.read_manifest_bytes(top.digest()) {
            Ok(bytes) => bytes,
            Err(e) if is_damage(&e) => return Ok(()),
            Err(e) => return Err(e),
        };
        match super::document::kind(top.digest(), &bytes) {
            Ok(super::document::Kind::Index) => {
                if let Ok(index) = self.index(top.digest()) {
                    for child in index.manifests() {
                        self.mark(child, depth + 1, walk, live)?;
                    }
                }
                Ok(())
            }
            Ok(super::document::Kind::Manifest) => match self.manifest(top.digest()) {
                Ok(manifest) => self.mark_manifest(&manifest, live),
                Err(_) => Ok(()),
            },
            Err(_) => Ok(()),
        }
    }

    fn mark_manifest(&self, manifest: &crate::image::ImageManifest, live: &mut Live) -> Result<()> {
        live.blobs.insert(manifest.config().digest().clone());
        live.blobs.extend(manifest.layers().iter().map(|layer| layer.digest().clone()));
        let chains =
            self.config(manifest).and_then(|config| Ok(self.unpacker(manifest, &config)?.chains()));
        match chains {
            Ok(chains) => {
                live.layers.extend(chains);
                Ok(())
            }
            Err(e) if is_damage(&e) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn collect_blobs(&self, live: &Live, removed: &mut Vec<Removed>) -> Result<()> {
        let algorithms = self.root.blobs().parent().map(PathBuf::from).unwrap_or_default();
        for algorithm in fsx::list(&algorithms)? {
            for name in fsx::list(&algorithms.join(&algorithm))? {
                let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { continue };
                if live.blobs.contains(&digest) {
                    continue;
                }
                let path = self.blob_path(&digest);
                let bytes = fsx::size_optional(&path)?.unwrap_or_default();
                fsx::remove_file(&path)?;
                removed.push(Removed::Blob { digest, bytes });
            }
        }
        Ok(())
    }

    /// Takes the names of layers away; the trees themselves are for the caller to delete.
    fn collect_layers(&self, live: &Live, removed: &mut Vec<Removed>) -> Result<Vec<PathBuf>> {
        let mut trees = Vec::new();
        for (folder, name) in self.everything_in_layers()? {
            let digests = ["sha256", "sha512"].map(|a| format!("{a}:{name}").parse::<Digest>());
            let Some(chain) = digests.into_iter().find_map(std::result::Result::ok) else {
                continue;
            };
            if live.layers.contains(&chain) {
                continue;
            }
            let folder = folder.join(&name);
            let info = record::read::<LayerInfo>(&folder.join("layer.json"));
            let bytes = info.ok().flatten().map_or(0, |info| info.size);
            trees.push(take_away(&folder)?);
            removed.push(Removed::Layer { chain, bytes });
        }
        Ok(trees)
    }

    /// Removes the temporary files of dead writers of `index.json`.
    fn sweep_index(&self) -> Result<()> {
        let _lock = self.images_lock()?;
        for name in fsx::list(self.root.data())? {
            if name.starts_with(fsx::TEMPORARY) {
                fsx::remove_file(&self.root.data().join(name))?;
            }
        }
        Ok(())
    }
}

/// Takes a layer's name away; nobody finds it any more, and its tree can be deleted at leisure.
fn take_away(folder: &Path) -> Result<PathBuf> {
    let doomed = folder.with_extension(format!("removed-{}", sys::random_name()));
    fsx::rename(folder, &doomed)?;
    Ok(doomed)
}

#[derive(Default)]
struct Live {
    blobs: HashSet<Digest>,
    /// Chain ids.
    layers: HashSet<Digest>,
}

/// Whether an image itself is at fault, rather than the disk.
fn is_damage(error: &Error) -> bool {
    !matches!(error, Error::File(_) | Error::Layer(_))
}
