//! Pulling: manifests first, then all missing blobs at once, each layer unpacked as soon as it is here.

use super::config::Config;
use super::session::{Access, DOCUMENT_LIMIT, Session};
use super::transfer::{Job, download};
use super::{Error, blob, manifest};
use crate::progress::{Progress, Silent};
use knarr_core::image::variant::{NoVariant, Runnable, Variant, choose, nearest};
use knarr_core::image::{Descriptor, Digest, Platform, Reference, media_type};
use knarr_core::store::{self, Image, LayerUnpacker, Store, Walk};
use std::collections::HashMap;

/// Which variants of an image to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Asked for by name; `None` leaves the choice to [`choose`].
    pub platform: Option<Platform>,
    /// What this machine runs. A platform that is asked for is pulled even if the machine cannot run it.
    pub runnable: Runnable,
    /// Every variant, and what else the index holds (attestations).
    pub all_platforms: bool,
}

/// What an image is pulled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To have it: to push or save it as well.
    Keep,
    /// To run it: what cannot run is refused before its layers are fetched.
    Run,
}

/// Pulls an image, and unpacks the variant that this machine would run.
///
/// What is in the store already is not fetched again. On error nothing is tagged, and what has arrived is kept
/// for the next attempt.
pub fn pull(
    store: &Store,
    reference: &Reference,
    options: &PullOptions,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    pull_for(Purpose::Keep, store, reference, options, config, progress)
}

pub(super) fn pull_for(
    purpose: Purpose,
    store: &Store,
    reference: &Reference,
    options: &PullOptions,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let keep = |source| Error::Store { reference: reference.familiar(), source };
    config.complaints(reference.domain()).iter().for_each(|text| progress.warning(text));
    // nothing refers to what arrives until the tag is written
    let _hold = store.hold_to_add().map_err(keep)?;
    let runtime = super::runtime()?;
    let mirrors = config.mirrors(reference.domain());
    let own = config.endpoint(reference.domain());
    let pull_from = |endpoint| -> Result<Image, Error> {
        let session = Session::new(config, endpoint, reference, Access::Pull)?;
        let plan = Resolver { session: &session, store, options, purpose, runtime: &runtime }
            .plan(reference)?;
        download(&runtime, &session, store, &plan.jobs, &plan.unpackers, progress)?;
        for unpacker in plan.unpackers {
            unpacker.finish().map_err(keep)?;
        }
        Ok(plan.image)
    };
    for mirror in mirrors {
        match pull_from(mirror) {
            // a mirror that lacks the image or is down is no reason to fail
            Err(error) if error.is_about_endpoint() => {}
            Err(error) => return Err(error),
            Ok(image) => return finish(store, reference, image, progress).map_err(keep),
        }
    }
    finish(store, reference, pull_from(own)?, progress).map_err(keep)
}

/// Names the image, and says so in Docker's words.
fn finish(
    store: &Store,
    reference: &Reference,
    image: Image,
    progress: &dyn Progress,
) -> store::Result<Image> {
    let before = store.find(&reference.to_string()).ok();
    store.tag(reference, image.descriptor.clone())?;
    store.tell_moved("pull", reference);
    progress.status(&format!("Digest: {}", image.id()));
    let news = match before {
        Some(before) if before.id() == image.id() => "Image is up to date",
        _ => "Downloaded newer image",
    };
    progress.status(&format!("Status: {news} for {}", reference.familiar()));
    Ok(image)
}

/// What is to be done for an image whose manifests are here.
struct Plan {
    image: Image,
    jobs: Vec<Job>,
    /// Where the job for a content is.
    places: HashMap<Digest, usize>,
    unpackers: Vec<LayerUnpacker>,
}

/// Fetches manifests and configurations, and decides which layers are wanted.
struct Resolver<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    options: &'a PullOptions,
    purpose: Purpose,
    runtime: &'a tokio::runtime::Runtime,
}

impl Resolver<'_> {
    fn plan(&self, reference: &Reference) -> Result<Plan, Error> {
        let keep = |source| self.session.store(source);
        let descriptor = self.runtime.block_on(self.top(reference))?;
        let image = Image { reference: Some(reference.clone()), descriptor };
        let (mut walk, mut manifests) = (Walk::default(), Vec::new());
        let top = &image.descriptor;
        self.runtime.block_on(self.gather(top, 0, &mut walk, &mut manifests))?;

        let variants = self.store.variants(&image).map_err(keep)?;
        let wanted = self
            .select(&variants)
            .map_err(|source| Error::NoVariant { reference: reference.familiar(), source })?;
        let run = choose(&variants, self.options.platform.as_ref(), &self.options.runnable).ok();
        let mut plan =
            Plan { image, jobs: Vec::new(), places: HashMap::new(), unpackers: Vec::new() };
        for descriptor in &manifests {
            let digest = descriptor.digest();
            if wanted.as_ref().is_some_and(|wanted| wanted != digest) {
                continue;
            }
            self.runtime.block_on(async {
                manifest::fetch_into(self.session, self.store, descriptor).await?;
                self.configuration(digest).await
            })?;
            let unpack = run.as_ref().is_some_and(|choice| choice.variant.manifest == *digest);
            plan.add(self.store, digest, unpack).map_err(keep)?;
        }
        Ok(plan)
    }

    /// The manifest that is wanted; `None` for all.
    fn select(&self, variants: &[Variant]) -> Result<Option<Digest>, NoVariant> {
        let PullOptions { platform, runnable, all_platforms } = self.options;
        if *all_platforms {
            return Ok(None);
        }
        match (platform, self.purpose) {
            (Some(requested), Purpose::Keep) => {
                let variant = nearest(variants, requested)
                    .ok_or_else(|| NoVariant::not_in(variants, requested))?;
                Ok(Some(variant.manifest.clone()))
            }
            _ => choose(variants, platform.as_ref(), runnable).map(|c| Some(c.variant.manifest)),
        }
    }

    /// The index or manifest that the reference names.
    async fn top(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let which = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.as_ref(),
            (None, tag) => tag.unwrap_or("latest"),
        };
        let document = manifest::fetch(self.session, which).await?;
        manifest::keep(self.session, self.store, &document)?;
        Ok(document.descriptor)
    }

    /// Collects the manifests under a descriptor, fetching nested indexes, and of manifests only those
    /// whose platform is not told by the index.
    async fn gather(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        walk: &mut Walk,
        manifests: &mut Vec<Descriptor>,
    ) -> Result<(), Error> {
        let keep = |source| self.session.store(source);
        if !walk.enter(descriptor, depth).map_err(keep)? {
            return Ok(());
        }
        if media_type::is_index(descriptor.media_type().as_ref()) {
            manifest::fetch_into(self.session, self.store, descriptor).await?;
            for child in self.store.index(descriptor.digest()).map_err(keep)?.manifests() {
                Box::pin(self.gather(child, depth + 1, walk, manifests)).await?;
            }
            return Ok(());
        }
        manifests.push(descriptor.clone());
        if store::stated_platform(descriptor).is_none_or(|platform| platform.is_unknown()) {
            manifest::fetch_into(self.session, self.store, descriptor).await?;
            self.configuration(descriptor.digest()).await?;
        }
        Ok(())
    }

    /// Fetches the configuration of a manifest that is in the store.
    async fn configuration(&self, manifest: &Digest) -> Result<(), Error> {
        let manifest = self.store.manifest(manifest).map_err(|e| self.session.store(e))?;
        let config = manifest.config();
        if self.store.holds(config).map_err(|e| self.session.store(e))? {
            return Ok(());
        }
        if config.size() > DOCUMENT_LIMIT {
            return Err(self.session.too_large("configuration", DOCUMENT_LIMIT));
        }
        blob::fetch(self.session, self.store, config, &Silent).await
    }
}

impl Plan {
    /// Adds the layers of a manifest that is in the store.
    fn add(&mut self, store: &Store, digest: &Digest, unpack: bool) -> store::Result<()> {
        let manifest = store.manifest(digest)?;
        if unpack {
            let config = store.config(&manifest)?;
            self.unpackers.push(store.unpacker(&manifest, &config)?);
        }
        for (at, layer) in manifest.layers().iter().enumerate() {
            store.holds(layer)?;
            let unpack = unpack.then(|| (self.unpackers.len() - 1, at));
            // the same content twice, an empty layer for example, is one download
            let job = *self.places.entry(layer.digest().clone()).or_insert(self.jobs.len());
            if job == self.jobs.len() {
                self.jobs.push(Job { descriptor: layer.clone(), unpack: Vec::new() });
            }
            self.jobs[job].unpack.extend(unpack);
        }
        Ok(())
    }
}
