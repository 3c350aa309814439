//! Writes archives. The same images give the same bytes.

use super::{Error, names};
use crate::index;
use knarr_core::compression::decompress;
use knarr_core::image::media_type::{self, LayerKind};
use knarr_core::image::variant::{NoVariant, Variant, nearest};
use knarr_core::image::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType, Platform};
use knarr_core::store::{Hasher, Image, Store, Walk};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::str::FromStr;

/// The shape of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// An OCI image layout in a tar, with Docker's `manifest.json` beside it: what Docker ≥ 25 writes. Holds all
    /// variants.
    #[default]
    OciArchive,
    /// What older tools read: one variant, its layers decompressed.
    DockerArchive,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no archive format; it is one of oci-archive, docker-archive")]
pub struct InvalidFormat(String);

impl knarr_core::hint::Hint for InvalidFormat {}

impl FromStr for Format {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        match text {
            "oci-archive" => Ok(Self::OciArchive),
            "docker-archive" => Ok(Self::DockerArchive),
            _ => Err(InvalidFormat(text.to_owned())),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    pub format: Format,
    /// Only this variant. Without it an OCI archive has all that are in the store, a docker archive the native
    /// one, or the first.
    pub platform: Option<Platform>,
}

/// Writes images to an archive.
pub fn save(
    store: &Store,
    images: &[Image],
    out: &mut dyn Write,
    options: &SaveOptions,
) -> Result<(), Error> {
    let _hold = store.hold()?;
    let mut archive = Archive { store, tar: tar::Builder::new(out) };
    match options.format {
        Format::OciArchive => archive.oci(images, options.platform.as_ref())?,
        Format::DockerArchive => archive.docker(images, options.platform.as_ref())?,
    }
    let out = archive.tar.into_inner().map_err(failed)?;
    out.flush().map_err(failed)?;
    images.iter().for_each(|image| store.tell("save", &image.descriptor, image.reference.as_ref()));
    Ok(())
}

/// One image in `manifest.json`, the docker archive's table of contents.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Path in the archive → digest: in the order of the archive.
type Blobs = BTreeMap<String, Digest>;

struct Archive<'a> {
    store: &'a Store,
    tar: tar::Builder<&'a mut dyn Write>,
}

impl Archive<'_> {
    fn oci(&mut self, images: &[Image], platform: Option<&Platform>) -> Result<(), Error> {
        let mut blobs = Blobs::new();
        let mut entries = Vec::new();
        let mut docker: Vec<DockerEntry> = Vec::new();
        for image in images {
            let mut top = match platform {
                Some(_) => {
                    let variant = self.variant(image, platform)?;
                    index::descriptor(self.store, &variant.manifest)?
                }
                None => image.descriptor.clone(),
            };
            if !self.collect(&top, 0, &mut Walk::default(), &mut blobs)? {
                return Err(Error::Incomplete { image: image.display_name() });
            }
            top.set_annotations(image.reference.as_ref().map(names::annotations));
            entries.push(top);
            let variant = self.variant(image, platform)?;
            let manifest = self.store.manifest(&variant.manifest)?;
            if is_docker_image(&manifest) {
                let layers = manifest.layers().iter().map(|l| blob_path(l.digest())).collect();
                add_entry(&mut docker, blob_path(manifest.config().digest()), layers, image);
            }
        }
        self.directory("blobs/")?;
        let mut folder = String::new();
        for (path, digest) in &blobs {
            let parent = path.trim_end_matches(digest.digest());
            if parent != folder {
                folder = parent.to_owned();
                self.directory(&folder)?;
            }
            let (size, file) = (self.store.blob_size(digest)?, self.store.open_blob(digest)?);
            self.file(path, size, file)?;
        }
        let mut index = ImageIndex::default();
        index.set_schema_version(2);
        index.set_media_type(Some(MediaType::ImageIndex));
        index.set_manifests(entries);
        self.json("index.json", &index)?;
        if !docker.is_empty() {
            self.json("manifest.json", &docker)?;
        }
        self.json("oci-layout", &serde_json::json!({"imageLayoutVersion": "1.0.0"}))
    }

    /// Collects the digests of a descriptor's content as far as it is in the store; `false` if not even one
    /// variant is complete.
    fn collect(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        walk: &mut Walk,
        blobs: &mut Blobs,
    ) -> Result<bool, Error> {
        if !walk.enter(descriptor, depth)? {
            return Ok(blobs.contains_key(&blob_path(descriptor.digest())));
        }
        if !self.store.holds(descriptor)? {
            return Ok(false);
        }
        let mut complete = false;
        if media_type::is_index(descriptor.media_type().as_ref()) {
            for child in self.store.index(descriptor.digest())?.manifests() {
                complete |= self.collect(child, depth + 1, walk, blobs)?;
            }
        } else {
            let manifest = self.store.manifest(descriptor.digest())?;
            complete = self.store.is_complete(&manifest);
            if complete {
                for blob in manifest.layers().iter().chain([manifest.config()]) {
                    blobs.insert(blob_path(blob.digest()), blob.digest().clone());
                }
            }
        }
        if complete {
            blobs.insert(blob_path(descriptor.digest()), descriptor.digest().clone());
        }
        Ok(complete)
    }

    /// Layers are decompressed, since old readers know nothing else; which takes two passes, as a tar tells
    /// sizes first.
    fn docker(&mut self, images: &[Image], platform: Option<&Platform>) -> Result<(), Error> {
        let mut entries: Vec<DockerEntry> = Vec::new();
        let mut written = BTreeSet::new();
        for image in images {
            let variant = self.variant(image, platform)?;
            let manifest = self.store.manifest(&variant.manifest)?;
            if !is_docker_image(&manifest) {
                return Err(Error::NotForDocker {
                    image: image.display_name(),
                    platform: variant.platform.to_string(),
                });
            }
            let config = self.store.config(&manifest)?;
            let mut layers = Vec::new();
            for (at, layer) in manifest.layers().iter().enumerate() {
                let expected = config.rootfs.diff_ids.get(at).map_or("nothing", String::as_str);
                let (diff_id, size) = self.measure(layer)?;
                if diff_id.as_ref() != expected {
                    return Err(Error::DigestMismatch {
                        entry: format!("layer {}", layer.digest()),
                        expected: expected.to_owned(),
                        found: diff_id,
                    });
                }
                let path = format!("{}/layer.tar", diff_id.digest());
                if written.insert(path.clone()) {
                    self.directory(&format!("{}/", diff_id.digest()))?;
                    let blob = self.store.open_blob(layer.digest())?;
                    let content = decompress(blob, u64::MAX).map_err(failed)?;
                    self.file(&path, size, content)?;
                }
                layers.push(path);
            }
            let digest = manifest.config().digest();
            let path = format!("{}.json", digest.digest());
            if written.insert(path.clone()) {
                let size = self.store.blob_size(digest)?;
                self.file(&path, size, self.store.open_blob(digest)?)?;
            }
            add_entry(&mut entries, path, layers, image);
        }
        self.json("manifest.json", &entries)
    }

    /// The variant that stands for an image where only one can.
    fn variant(&self, image: &Image, platform: Option<&Platform>) -> Result<Variant, Error> {
        let variants = self.store.variants(image)?;
        let native = Platform::host();
        let wanted = platform.unwrap_or(&native);
        let found = nearest(&variants, wanted);
        if let Some(requested) = platform {
            let found = found.ok_or_else(|| Error::NoVariant {
                image: image.display_name(),
                source: NoVariant::not_in(&variants, requested),
            })?;
            return if found.present { Ok(found.clone()) } else { Err(incomplete(image)) };
        }
        let present = found.filter(|v| v.present).or_else(|| variants.iter().find(|v| v.present));
        present.cloned().ok_or_else(|| incomplete(image))
    }

    fn measure(&self, layer: &Descriptor) -> Result<(Digest, u64), Error> {
        let blob = self.store.open_blob(layer.digest())?;
        let mut content = decompress(blob, u64::MAX).map_err(failed)?;
        let (mut hasher, mut size) = (Hasher::sha256(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match content.read(&mut buffer).map_err(failed)? {
                0 => return Ok((hasher.finish(), size)),
                n => {
                    hasher.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
    }

    fn json(&mut self, path: &str, document: &impl Serialize) -> Result<(), Error> {
        let bytes = index::to_json(document)
            .map_err(|source| Error::Malformed { entry: path.to_owned(), source })?;
        self.file(path, bytes.len() as u64, &bytes[..])
    }

    fn file(&mut self, path: &str, size: u64, content: impl Read) -> Result<(), Error> {
        let mut header = header(tar::EntryType::Regular, 0o644);
        header.set_size(size);
        // a tar with fewer bytes than its header says is garbage from there on
        let mut content = content.take(size);
        self.tar.append_data(&mut header, path, &mut content).map_err(failed)?;
        if content.limit() != 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<(), Error> {
        let mut header = header(tar::EntryType::Directory, 0o755);
        header.set_size(0);
        self.tar.append_data(&mut header, path, io::empty()).map_err(failed)
    }
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Several names of one image are one entry.
fn add_entry(entries: &mut Vec<DockerEntry>, config: String, layers: Vec<String>, image: &Image) {
    let tag = image.reference.as_ref().filter(|r| r.digest().is_none()).map(|r| r.familiar());
    match entries.iter_mut().find(|e| e.config == config && e.layers == layers) {
        Some(entry) => entry.repo_tags.extend(tag),
        None => entries.push(DockerEntry { config, repo_tags: tag.into_iter().collect(), layers }),
    }
}

fn is_docker_image(manifest: &ImageManifest) -> bool {
    let is_tar = |layer: &Descriptor| {
        matches!(media_type::layer_kind(layer.media_type().as_ref()), Some(LayerKind::Tar(_)))
    };
    manifest.layers().iter().all(is_tar)
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_ref(), digest.digest())
}

fn incomplete(image: &Image) -> Error {
    Error::Incomplete { image: image.display_name() }
}

fn failed(source: io::Error) -> Error {
    Error::Write { what: "the archive", source }
}
