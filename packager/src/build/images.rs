//! Base images: from the store, pulled if they are not there.

use super::plan::{BaseImage, Images};
use super::progress::{Event, VertexId};
use super::report::Report;
use super::{Error, Options, Services};
use crate::progress::{LayerEvent, Progress};
use crate::registry::{self, PullOptions, PullPolicy};
use knarr_core::image::variant::Runnable;
use knarr_core::image::{Digest, Platform};
use knarr_core::store::Store;
use std::collections::HashMap;
use std::sync::Mutex;

/// Finds images for the planner, and shows what it does.
pub struct Finder<'a> {
    pub store: &'a Store,
    pub options: &'a Options,
    pub services: &'a Services<'a>,
    pub report: &'a Report<'a>,
    pub found: Mutex<HashMap<(String, String), BaseImage>>,
}

impl Images for Finder<'_> {
    fn get(&self, reference: &str, platform: &Platform) -> Result<BaseImage, Error> {
        let key = (reference.to_owned(), platform.to_string());
        let known = |found: &Mutex<HashMap<_, _>>| {
            found.lock().unwrap_or_else(|e| e.into_inner()).get(&key).cloned()
        };
        if let Some(image) = known(&self.found) {
            return Ok(image);
        }
        let vertex = self.report.internal(&format!("[internal] load metadata for {reference}"));
        let image = self.report.watch(vertex, || self.find(reference, platform, vertex))?;
        let mut found = self.found.lock().unwrap_or_else(|e| e.into_inner());
        found.insert(key, image.clone());
        Ok(image)
    }
}

impl Finder<'_> {
    fn find(
        &self,
        reference: &str,
        platform: &Platform,
        vertex: VertexId,
    ) -> Result<BaseImage, Error> {
        let policy = if self.options.pull { PullPolicy::Always } else { PullPolicy::Missing };
        // the platform decides; whether this machine runs it is only known by the steps
        let runnable = Runnable { wasm: true, native: vec![platform.clone()] };
        let pull = PullOptions { platform: Some(platform.clone()), runnable, all_platforms: false };
        let progress = Pulling { vertex, report: self.report };
        let config = || (self.services.registry)();
        let ensured =
            registry::ensure_with(self.store, reference, policy, &pull, config, &progress)
                .map_err(|e| Error::Pull { reference: reference.to_owned(), source: e.into() })?;
        let manifest = self.store.manifest(&ensured.choice.variant.manifest)?;
        let mut config = self.store.config(&manifest)?;
        let chosen = ensured.choice.variant.platform;
        if ensured.choice.assumed {
            progress.warning(&format!(
                "{reference} does not say what platform it is for, and is taken for {chosen}"
            ));
            (config.os, config.architecture) = (chosen.os.clone(), chosen.architecture.clone());
            config.variant.clone_from(&chosen.variant);
        }
        Ok(BaseImage {
            reference: reference.to_owned(),
            digest: ensured.image.id().clone(),
            manifest: ensured.choice.variant.manifest,
            config,
            platform: chosen,
        })
    }
}

/// Tells what moves between a registry and the store as events of a vertex.
pub struct Pulling<'a> {
    pub vertex: VertexId,
    pub report: &'a Report<'a>,
}

impl Progress for Pulling<'_> {
    fn layer(&self, digest: &Digest, event: LayerEvent) {
        self.report.event(Event::Layer { vertex: self.vertex, digest, event });
    }

    fn status(&self, text: &str) {
        self.report.event(Event::Status { vertex: self.vertex, id: "pull", text });
    }
}
