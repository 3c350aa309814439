//! Which images there are, what they are called, and which variants they hold.

use super::{Error, Result, Store, Walk, artifact, document};
use crate::image::variant::Origin;
use crate::image::{Descriptor, Digest, ImageManifest, Platform, Reference, Variant, media_type};
use std::collections::HashMap;

/// OCI image-spec, annotations.md: the name of an entry of `index.json`. Ours is the full canonical
/// reference, so that names of different registries do not collide.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// BuildKit's mark of provenance and SBOM manifests, which are no variants.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// One name of an image, or an image without a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// `None`: dangling, shown as `<none>`.
    pub reference: Option<Reference>,
    pub descriptor: Descriptor,
}

impl Image {
    /// The image's id: the digest of its index, or of its manifest where it has only one.
    pub fn id(&self) -> &Digest {
        self.descriptor.digest()
    }

    /// The name as people write it, else the id.
    pub fn display_name(&self) -> String {
        self.reference.as_ref().map_or_else(|| self.id().to_string(), Reference::familiar)
    }

    /// Whether `text`, by which the image was found, is its name rather than its id.
    pub fn is_named(&self, text: &str) -> bool {
        is_name_of(text, self)
    }

    fn of(entry: Descriptor) -> Self {
        let name = entry.annotations().as_ref().and_then(|a| a.get(REF_NAME));
        Self { reference: name.and_then(|n| n.parse().ok()), descriptor: entry }
    }
}

/// How much room a variant takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Its blobs: manifest, configuration and compressed layers, whether present or not.
    pub content: u64,
    /// Its layers unpacked; `None` unless all are.
    pub unpacked: Option<u64>,
}

impl Store {
    /// All images, one for each name, in the order in which they came.
    pub fn images(&self) -> Result<Vec<Image>> {
        Ok(self.entries()?.into_iter().map(Image::of).collect())
    }

    /// Finds an image by Docker's rules: a full id, else a reference (with the tag `latest` where it has
    /// neither tag nor digest), else the start of an id.
    pub fn find(&self, text: &str) -> Result<Image> {
        let images = self.images()?;
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !hex.is_empty()
            && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let full_id = is_hex && hex.len() == 64;
        if !full_id
            && let Ok(reference) = text.parse::<Reference>()
            && let Some(image) = named(&images, &reference)
        {
            return Ok(image.clone());
        }
        let not_found = || Error::NotFound { text: text.to_owned() };
        if !is_hex {
            return Err(not_found());
        }
        let mut matches: HashMap<&Digest, &Image> = HashMap::new();
        for image in images.iter().filter(|i| i.id().digest().starts_with(hex)) {
            matches.entry(image.id()).or_insert(image);
        }
        match matches.len() {
            0 => Err(not_found()),
            1 => Ok(matches.into_values().next().ok_or_else(not_found)?.clone()),
            matches => Err(Error::Ambiguous { prefix: text.to_owned(), matches }),
        }
    }

    /// Gives an image a name. The image that had the name before becomes dangling if this was its last.
    ///
    /// A name with a digest is a promise of what it stands for: [`Error::WrongDigest`] if that is another image.
    pub fn tag(&self, reference: &Reference, descriptor: Descriptor) -> Result<()> {
        if reference.digest().is_some_and(|digest| digest != descriptor.digest()) {
            return Err(Error::WrongDigest {
                reference: reference.familiar(),
                found: descriptor.digest().clone(),
            });
        }
        let name = reference.to_string();
        let mut entry = descriptor;
        let mut annotations = entry.annotations().clone().unwrap_or_default();
        annotations.insert(REF_NAME.into(), name.clone());
        entry.set_annotations(Some(annotations));
        self.change_entries(|entries| {
            take_name(entries, &name);
            // an image with a name needs no entry without one
            entries.retain(|e| e.digest() != entry.digest() || name_of(e).is_some());
            entries.push(entry);
            Ok(())
        })
    }

    /// Keeps an image without giving it a name (`docker import` without a name, `build` without `-t`).
    pub fn keep_dangling(&self, mut descriptor: Descriptor) -> Result<()> {
        let annotations = descriptor.annotations().clone().map(|mut a| {
            a.remove(REF_NAME);
            a
        });
        descriptor.set_annotations(annotations.filter(|a| !a.is_empty()));
        self.change_entries(|entries| {
            if entries.iter().all(|e| e.digest() != descriptor.digest()) {
                entries.push(descriptor);
            }
            Ok(())
        })
    }

    /// Takes a name away; `false` if there is no such name. The image stays, dangling if this was its last.
    pub fn untag(&self, reference: &Reference) -> Result<bool> {
        self.change_entries(|entries| Ok(take_name(entries, &reference.to_string())))
    }

    /// The variants of an image: the manifests of its index and of the indexes in it, or the only one.
    pub fn variants(&self, image: &Image) -> Result<Vec<Variant>> {
        let mut variants = Vec::new();
        self.walk(&image.descriptor, &mut |descriptor, manifest| {
            if let Some((platform, origin)) = self.platform_of(image, descriptor, manifest)? {
                let present = manifest.is_some_and(|m| self.is_complete(m));
                let manifest = descriptor.digest().clone();
                variants.push(Variant { platform, manifest, present, origin });
            }
            Ok(())
        })?;
        Ok(variants)
    }

    /// How much room one variant takes.
    pub fn size_of(&self, manifest: &Digest) -> Result<Size> {
        let document = self.manifest(manifest)?;
        let layers: u64 = document.layers().iter().map(Descriptor::size).sum();
        let content = self.blob_size(manifest)? + document.config().size() + layers;
        let unpacked = self
            .config(&document)
            .and_then(|config| self.unpacked_size(&document, &config))
            .unwrap_or_default();
        Ok(Size { content, unpacked })
    }

    /// Whether every blob of a variant is in the store, with the size that the manifest says.
    pub fn is_complete(&self, manifest: &ImageManifest) -> bool {
        let is_here = |blob| matches!(self.holds(blob), Ok(true));
        is_here(manifest.config()) && manifest.layers().iter().all(is_here)
    }

    /// Calls `visit` for each manifest under `top`, with its content where it is present.
    pub(super) fn walk(
        &self,
        top: &Descriptor,
        visit: &mut dyn FnMut(&Descriptor, Option<&ImageManifest>) -> Result<()>,
    ) -> Result<()> {
        self.walk_nested(top, 0, &mut Walk::default(), visit)
    }

    fn walk_nested(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        walk: &mut Walk,
        visit: &mut dyn FnMut(&Descriptor, Option<&ImageManifest>) -> Result<()>,
    ) -> Result<()> {
        if !walk.enter(descriptor, depth)? {
            return Ok(());
        }
        let bytes = match self.read_manifest_bytes(descriptor.digest()) {
            // a pull may have fetched only some of the variants; without the top there is no image
            Err(Error::BlobMissing { .. }) if depth > 0 => {
                let media_type = descriptor.media_type().to_string();
                return if media_type::is_index(&media_type) {
                    Ok(())
                } else {
                    visit(descriptor, None)
                };
            }
            other => other?,
        };
        self.check_size(descriptor, bytes.len() as u64)?;
        match document::kind(descriptor.digest(), &bytes)? {
            document::Kind::Manifest => {
                let manifest = self.parse("image manifest", descriptor.digest(), &bytes)?;
                visit(descriptor, Some(&manifest))
            }
            document::Kind::Index => {
                let index: crate::image::ImageIndex =
                    self.parse("image index", descriptor.digest(), &bytes)?;
                for child in index.manifests() {
                    self.walk_nested(child, depth + 1, walk, visit)?;
                }
                Ok(())
            }
        }
    }

    /// The platform of a manifest, and who says so; `None` for what is no variant (attestations, signatures).
    fn platform_of(
        &self,
        image: &Image,
        descriptor: &Descriptor,
        manifest: Option<&ImageManifest>,
    ) -> Result<Option<(Platform, Origin)>> {
        let annotations = descriptor.annotations().as_ref();
        if annotations.is_some_and(|a| a.contains_key(REFERENCE_TYPE)) {
            return Ok(None);
        }
        let stated = stated_platform(descriptor);
        if stated.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown") {
            return Ok(None);
        }
        let is_named = stated.as_ref().is_some_and(|platform| !platform.is_unknown());
        let origin = match is_named || descriptor.digest() == image.id() {
            true => Origin::Image,
            false => Origin::Configuration,
        };
        let known = |platform| Ok(Some((platform, origin)));
        match manifest {
            Some(manifest) if artifact::is_image(manifest) => {
                match self.config(manifest) {
                    Ok(config) => known(artifact::platform(stated, &config)),
                    // the configuration of a variant that was not fetched
                    Err(Error::BlobMissing { .. }) => Ok(stated.map(|stated| (stated, origin))),
                    Err(e) => Err(e),
                }
            }
            Some(_) => Ok(None),
            None => Ok(stated.map(|stated| (stated, origin))),
        }
    }
}

/// What an index says of the platform of an entry; nothing is as good as nothing said.
pub fn stated_platform(descriptor: &Descriptor) -> Option<Platform> {
    let stated = descriptor.platform().as_ref().map(Platform::from);
    stated.filter(|platform| !platform.os.is_empty() || !platform.architecture.is_empty())
}

/// Whether `text`, by which an image was found, is its name rather than its id.
fn is_name_of(text: &str, image: &Image) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let parsed = text.parse::<Reference>().ok();
    image.reference.is_some()
        && hex.len() != 64
        && parsed.is_some_and(|r| named(std::slice::from_ref(image), &r).is_some())
}

pub(super) fn has_name(entry: &Descriptor, reference: Option<&Reference>) -> bool {
    let name = name_of(entry).and_then(|n| n.parse::<Reference>().ok());
    name.as_ref() == reference
}

fn name_of(entry: &Descriptor) -> Option<&String> {
    entry.annotations().as_ref()?.get(REF_NAME)
}

/// By the exact name; with a digest also by any name of the same repository.
fn named<'a>(images: &'a [Image], reference: &Reference) -> Option<&'a Image> {
    let is_kept = |id| reference.digest().is_none_or(|digest| digest == id);
    let exact = images.iter().find(|i| i.reference.as_ref() == Some(reference) && is_kept(i.id()));
    exact.or_else(|| {
        let digest = reference.digest()?;
        let is_same = |r: &Reference| r.name() == reference.name();
        images.iter().find(|i| i.id() == digest && i.reference.as_ref().is_some_and(is_same))
    })
}

/// Removes a name; its image stays, without a name if it has no other.
fn take_name(entries: &mut Vec<Descriptor>, name: &str) -> bool {
    // entries written by others may hold the same reference in a shorter form
    let is_name = |e: &Descriptor| {
        name_of(e).is_some_and(|n| {
            n == name || n.parse::<Reference>().is_ok_and(|r| r.to_string() == name)
        })
    };
    let Some(at) = entries.iter().position(is_name) else { return false };
    let mut entry = entries.remove(at);
    if entries.iter().all(|e| e.digest() != entry.digest()) {
        let mut annotations = entry.annotations().clone().unwrap_or_default();
        annotations.remove(REF_NAME);
        entry.set_annotations(Some(annotations).filter(|a| !a.is_empty()));
        entries.insert(at, entry);
    }
    true
}
