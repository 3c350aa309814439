//! Loads archives of images.

use super::read::{Contents, blob_digest, keep};
use super::{DOCUMENT_LIMIT, Error, layer, names};
use knarr_core::compression::{Sniffed, decompress};
use knarr_core::fsx::{self, Context};
use knarr_core::image::{
    Descriptor, Digest, ImageConfig, ImageIndex, MediaType, Reference, media_type,
};
use knarr_core::store::{Error as StoreError, Image, Store, Walk, parse_document};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

/// Loads an OCI archive or a docker archive, which may be compressed. Returns an entry for
/// each name, in the archive's order.
///
/// Every digest is verified, and no image gets a name before all of them are complete.
pub fn load(store: &Store, input: &mut dyn Read) -> Result<Vec<Image>, Error> {
    let _hold = store.hold_to_add()?;
    let input = decompress(input, store.room()).map_err(Error::Read)?;
    let mut contents = Contents::read(store, input)?;
    let loaded = if let Some(index) = contents.document("index.json") {
        oci(store, index)?
    } else if let Some(manifest) = contents.document("manifest.json") {
        let entries: Vec<DockerEntry> = serde_json::from_slice(manifest)
            .map_err(|source| Error::Malformed { entry: "manifest.json".into(), source })?;
        docker(store, &mut contents, entries)?
    } else {
        return Err(Error::NotAnArchive);
    };
    finish(store, loaded)
}

/// [`load`] of a file, or of a directory that is an OCI image layout.
pub fn load_path(store: &Store, path: &Path) -> Result<Vec<Image>, Error> {
    if !path.is_dir() {
        return load(store, &mut io::BufReader::with_capacity(256 << 10, fsx::open(path)?));
    }
    let _hold = store.hold_to_add()?;
    let layout = Layout { store, path };
    let Some(index) = layout.document("index.json")? else { return Err(Error::NotAnArchive) };
    for entry in parse_index(&index)?.manifests() {
        layout.copy(entry, 0, &mut Walk::default())?;
    }
    finish(store, oci(store, &index)?)
}

type Loaded = Vec<(Option<Reference>, Descriptor)>;

/// Names what was loaded.
fn finish(store: &Store, loaded: Loaded) -> Result<Vec<Image>, Error> {
    if loaded.is_empty() {
        return Err(Error::Missing { what: "any image".into() });
    }
    let mut images = Vec::new();
    for (reference, descriptor) in loaded {
        match &reference {
            Some(reference) => store.tag(reference, descriptor.clone())?,
            None => store.keep_dangling(descriptor.clone())?,
        }
        store.tell("load", &descriptor, reference.as_ref());
        images.push(Image { reference, descriptor });
    }
    Ok(images)
}

fn parse_index(bytes: &[u8]) -> Result<ImageIndex, Error> {
    parse_document(bytes).map_err(|source| Error::Malformed { entry: "index.json".into(), source })
}

/// The images of an `index.json` whose blobs are in the store.
fn oci(store: &Store, index: &[u8]) -> Result<Loaded, Error> {
    let mut loaded = Loaded::new();
    for entry in parse_index(index)?.manifests() {
        let reference = names::of(entry);
        let mut descriptor = entry.clone();
        descriptor.set_annotations(None);
        check_size(store, &descriptor)?;
        let image = Image { reference, descriptor };
        let variants = store.variants(&image)?;
        // before completeness is asked: a wrong size is told as such
        for variant in &variants {
            match store.manifest(&variant.manifest) {
                Ok(manifest) => {
                    for blob in manifest.layers().iter().chain([manifest.config()]) {
                        store.holds(blob).map_err(wrong_size)?;
                    }
                }
                Err(StoreError::BlobMissing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !variants.iter().any(|variant| variant.present) {
            return Err(Error::Missing { what: format!("content of {}", image.display_name()) });
        }
        loaded.push((image.reference, image.descriptor));
    }
    Ok(loaded)
}

fn check_size(store: &Store, descriptor: &Descriptor) -> Result<(), Error> {
    match store.holds(descriptor) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Missing { what: format!("blob {}", descriptor.digest()) }),
        Err(error) => Err(wrong_size(error)),
    }
}

fn wrong_size(error: StoreError) -> Error {
    match error {
        StoreError::SizeMismatch { digest, expected, found } => {
            Error::SizeMismatch { entry: format!("blob {digest}"), expected, found }
        }
        other => other.into(),
    }
}

/// One image in the `manifest.json` of a docker archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// A file of a docker archive that has been put in its place.
#[derive(Clone)]
struct Placed {
    descriptor: Descriptor,
    diff_id: Digest,
}

fn docker(
    store: &Store,
    contents: &mut Contents,
    entries: Vec<DockerEntry>,
) -> Result<Loaded, Error> {
    let mut placed: HashMap<String, Placed> = HashMap::new();
    let mut loaded = Loaded::new();
    for entry in entries {
        let layers = entry.layers.unwrap_or_default();
        let path = contents.resolve(&entry.config)?;
        let config = place(store, contents, &mut placed, &path)?;
        let text = read_config(store, &config.descriptor, &path)?;
        let parsed: ImageConfig = parse_document(&text)
            .map_err(|source| Error::Malformed { entry: path.clone(), source })?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != layers.len() {
            let (layers, diff_ids) = (layers.len(), diff_ids.len());
            return Err(Error::LayerCount { image: path, layers, diff_ids });
        }
        let mut descriptors = Vec::new();
        for (layer, expected) in layers.iter().zip(diff_ids) {
            let path = contents.resolve(layer)?;
            let Placed { descriptor, diff_id } = place(store, contents, &mut placed, &path)?;
            if diff_id.as_ref() != expected {
                let (expected, found) = (expected.clone(), diff_id);
                return Err(Error::DigestMismatch { entry: path, expected, found });
            }
            descriptors.push(descriptor);
        }
        let config = &config.descriptor;
        let config =
            Descriptor::new(MediaType::ImageConfig, config.size(), config.digest().clone());
        let descriptor = layer::with_config(store, config, descriptors)?;
        let names: Vec<Reference> =
            entry.repo_tags.unwrap_or_default().iter().filter_map(|t| t.parse().ok()).collect();
        if names.is_empty() {
            loaded.push((None, descriptor.clone()));
        }
        loaded.extend(names.into_iter().map(|name| (Some(name), descriptor.clone())));
    }
    Ok(loaded)
}

/// Gives a file of the archive its place among the blobs; several images may share it.
fn place(
    store: &Store,
    contents: &mut Contents,
    placed: &mut HashMap<String, Placed>,
    path: &str,
) -> Result<Placed, Error> {
    if let Some(known) = placed.get(path) {
        return Ok(known.clone());
    }
    let known = blob_digest(path).filter(|digest| store.has(digest));
    let (file, source) = match (contents.staged.remove(path), known) {
        (Some(staged), _) => (fsx::open(&staged.path())?, Ok(staged)),
        (None, Some(digest)) => (store.open_blob(&digest)?, Err(digest)),
        (None, None) => return Err(Error::Missing { what: path.to_owned() }),
    };
    let compression = Sniffed::new(&file).map_err(Error::Read)?.compression();
    io::Seek::rewind(&mut &file).map_err(Error::Read)?;
    let (media_type, source) = match layer::media_type(compression) {
        Some(media_type) => (media_type, source),
        None => {
            let (staged, media_type) = layer::stage(store, file)?;
            (media_type, Ok(staged))
        }
    };
    let (diff_id, digest, size) = match source {
        Ok(staged) => {
            let diff_id = layer::diff_id(store, &staged, false)?;
            let (digest, size) = staged.finish()?;
            (diff_id, digest, size)
        }
        Err(digest) => {
            let diff_id = layer::diff_id_of(store, store.open_blob(&digest)?, false)?;
            let size = store.blob_size(&digest)?;
            (diff_id, digest, size)
        }
    };
    let new = Placed { descriptor: Descriptor::new(media_type, size, digest), diff_id };
    placed.insert(path.to_owned(), new.clone());
    Ok(new)
}

fn read_config(store: &Store, config: &Descriptor, path: &str) -> Result<Vec<u8>, Error> {
    if config.size() > DOCUMENT_LIMIT {
        return Err(Error::TooLarge { entry: path.to_owned(), limit: DOCUMENT_LIMIT });
    }
    Ok(store.read_manifest_bytes(config.digest())?)
}

/// An OCI image layout that is a directory.
struct Layout<'a> {
    store: &'a Store,
    path: &'a Path,
}

impl Layout<'_> {
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let limited = fsx::open(&path)?.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes);
        limited.at("read", &path)?;
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(Error::TooLarge { entry: name.to_owned(), limit: DOCUMENT_LIMIT });
        }
        Ok(Some(bytes))
    }

    /// Copies a descriptor's content and what it refers to, as far as the layout has it.
    fn copy(&self, descriptor: &Descriptor, depth: usize, walk: &mut Walk) -> Result<(), Error> {
        let is_index = media_type::is_index(descriptor.media_type().as_ref());
        let is_manifest = media_type::is_manifest(descriptor.media_type().as_ref());
        if !walk.enter(descriptor, depth)? || !self.blob(descriptor)? {
            return Ok(());
        }
        if is_index {
            for child in self.store.index(descriptor.digest())?.manifests() {
                self.copy(child, depth + 1, walk)?;
            }
        } else if is_manifest {
            let manifest = self.store.manifest(descriptor.digest())?;
            for blob in manifest.layers().iter().chain([manifest.config()]) {
                self.blob(blob)?;
            }
        }
        Ok(())
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let digest = descriptor.digest();
        if self.store.holds(descriptor).map_err(wrong_size)? {
            return Ok(true);
        }
        // a digest's grammar lets neither part be `..` or hold a slash
        let name = format!("blobs/{}/{}", digest.algorithm().as_ref(), digest.digest());
        let path = self.path.join(&name);
        if !path.is_file() {
            return Ok(false);
        }
        keep(self.store, &name, digest, descriptor.size(), &mut fsx::open(&path)?)?;
        Ok(true)
    }
}
