//! Pushing: missing blobs at once, then manifests, then the indexes above them.

use super::config::Config;
use super::session::{Access, Session};
use super::transfer::{Upload, upload};
use super::{Error, manifest};
use crate::progress::Progress;
use knarr_core::image::variant::{NoVariant, nearest};
use knarr_core::image::{Descriptor, Digest, Platform, Reference, media_type};
use knarr_core::store::{self, Image, Store, Walk};
use std::collections::{HashMap, HashSet};

/// What to push of an image.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// Only the variant of this platform, as an image of its own.
    pub platform: Option<Platform>,
}

/// Pushes the image that `reference` names in the store; returns what the registry has now.
///
/// Without a platform all variants go, and each must be in the store or in the registry.
pub fn push(
    store: &Store,
    reference: &Reference,
    options: &PushOptions,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Descriptor, Error> {
    let keep = |source| Error::Store { reference: reference.familiar(), source };
    let _hold = store.hold().map_err(keep)?;
    let image = store.find(&reference.to_string()).map_err(keep)?;
    let top = top(store, &image, options, reference)?;
    push_descriptor(store, reference, top, config, progress)
}

/// Pushes what is in the store, named or not, under `reference`. The caller has a [`Store::hold`].
pub(crate) fn push_descriptor(
    store: &Store,
    reference: &Reference,
    top: Descriptor,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Descriptor, Error> {
    let keep = |source| Error::Store { reference: reference.familiar(), source };
    config.complaints(reference.domain()).iter().for_each(|text| progress.warning(text));
    let sources = Sources::of(store, reference).map_err(keep)?;

    let mut plan = Plan::default();
    plan.add(store, &top, 0, &mut Walk::default(), &sources).map_err(keep)?;

    let runtime = super::runtime()?;
    let endpoint = config.endpoint(reference.domain());
    let session =
        Session::new(config, endpoint, reference, Access::Push)?.with_sources(plan.sources());
    let absent = runtime.block_on(async {
        let mut absent = Vec::new();
        for descriptor in plan.absent {
            if !manifest::exists(&session, descriptor.digest()).await? {
                absent.push(descriptor);
            }
        }
        Ok::<_, Error>(absent)
    })?;
    if !absent.is_empty() {
        let platforms = absent.iter().filter_map(|d| d.platform().as_ref()).map(Platform::from);
        let platforms = platforms.filter(|p| p.os != "unknown").collect();
        return Err(Error::Incomplete { reference: reference.familiar(), platforms });
    }
    upload(&runtime, &session, store, &plan.blobs, progress)?;
    runtime.block_on(async {
        for descriptor in &plan.documents {
            let bytes = store.read_manifest_bytes(descriptor.digest()).map_err(keep)?;
            let which = match descriptor.digest() == top.digest() {
                true => reference.tag().unwrap_or(descriptor.digest().as_ref()),
                false => descriptor.digest().as_ref(),
            };
            let media_type = descriptor.media_type().to_string();
            manifest::push(&session, which, &media_type, bytes).await?;
        }
        Ok::<(), Error>(())
    })?;
    store.tell_moved("push", reference);
    Ok(top)
}

/// What the reference shall name in the registry.
fn top(
    store: &Store,
    image: &Image,
    options: &PushOptions,
    reference: &Reference,
) -> Result<Descriptor, Error> {
    let keep = |source| Error::Store { reference: reference.familiar(), source };
    let Some(requested) = &options.platform else { return Ok(image.descriptor.clone()) };
    let variants = store.variants(image).map_err(keep)?;
    let variant = nearest(&variants, requested).ok_or_else(|| Error::NoVariant {
        reference: reference.familiar(),
        source: NoVariant::not_in(&variants, requested),
    })?;
    if !variant.present {
        let platforms = vec![variant.platform.clone()];
        return Err(Error::Incomplete { reference: reference.familiar(), platforms });
    }
    crate::index::descriptor(store, &variant.manifest).map_err(keep)
}

/// What goes over, in order: blobs before the manifests that name them, those before their indexes.
#[derive(Default)]
struct Plan {
    blobs: Vec<Upload>,
    documents: Vec<Descriptor>,
    /// Manifests that the store lacks, which may be in the registry already.
    absent: Vec<Descriptor>,
    /// Whose blobs are among the above.
    seen: HashSet<Digest>,
}

impl Plan {
    /// The repositories of which blobs shall be mounted: the session needs leave to read them.
    fn sources(&self) -> Vec<String> {
        let mut all: Vec<String> = self.blobs.iter().filter_map(|b| b.source.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    fn add(
        &mut self,
        store: &Store,
        descriptor: &Descriptor,
        depth: usize,
        walk: &mut Walk,
        sources: &Sources,
    ) -> store::Result<()> {
        if !walk.enter(descriptor, depth)? {
            return Ok(());
        }
        if !store.holds(descriptor)? {
            self.absent.push(descriptor.clone());
            return Ok(());
        }
        if media_type::is_index(descriptor.media_type().as_ref()) {
            for child in store.index(descriptor.digest())?.manifests() {
                self.add(store, child, depth + 1, walk, sources)?;
            }
            self.documents.push(descriptor.clone());
            return Ok(());
        }
        let manifest = store.manifest(descriptor.digest())?;
        if !store.is_complete(&manifest) {
            self.absent.push(descriptor.clone());
            return Ok(());
        }
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            if self.seen.insert(blob.digest().clone()) {
                let source = sources.of_blob.get(blob.digest()).cloned();
                self.blobs.push(Upload { descriptor: blob.clone(), source });
            }
        }
        self.documents.push(descriptor.clone());
        Ok(())
    }
}

/// Which other repositories of the registry probably have which blobs: those that our other images of the
/// same registry came from or went to.
struct Sources {
    of_blob: HashMap<Digest, String>,
}

impl Sources {
    fn of(store: &Store, target: &Reference) -> store::Result<Self> {
        let mut of_blob = HashMap::new();
        for image in store.images()? {
            let Some(reference) = &image.reference else { continue };
            if reference.domain() != target.domain() || reference.path() == target.path() {
                continue;
            }
            for variant in store.variants(&image)?.into_iter().filter(|v| v.present) {
                let manifest = store.manifest(&variant.manifest)?;
                for blob in manifest.layers().iter().chain([manifest.config()]) {
                    let source = || reference.path().to_owned();
                    of_blob.entry(blob.digest().clone()).or_insert_with(source);
                }
            }
        }
        Ok(Self { of_blob })
    }
}
