//! Content of a registry that is no image to run: what a build cache is kept as.

use super::config::Config;
use super::session::{Access, DOCUMENT_LIMIT, Session};
use super::{Error, blob, manifest};
use crate::progress::Progress;
use knarr_core::image::{Descriptor, Reference, media_type};
use knarr_core::store::{Store, Walk};

/// Fetches what a reference names, the manifests of an index with it, and their configurations: no layers. Nothing is
/// tagged; the caller has a [`Store::hold`].
pub(crate) fn fetch_documents(
    store: &Store,
    reference: &Reference,
    config: &Config,
) -> Result<Vec<Descriptor>, Error> {
    let runtime = super::runtime()?;
    let endpoint = config.endpoint(reference.domain());
    let session = Session::new(config, endpoint, reference, Access::Pull)?;
    let which = match reference.digest() {
        Some(digest) => digest.as_ref(),
        None => reference.tag().unwrap_or("latest"),
    };
    runtime.block_on(async {
        let document = manifest::fetch(&session, which).await?;
        manifest::keep(&session, store, &document)?;
        let top = document.descriptor;
        let mut manifests = vec![top.clone()];
        if media_type::is_index(top.media_type().as_ref()) {
            let index = store.index(top.digest()).map_err(|e| session.store(e))?;
            let mut walk = Walk::default();
            manifests.clear();
            for child in index.manifests() {
                if walk.enter(child, 1).map_err(|e| session.store(e))? {
                    manifests.push(child.clone());
                }
            }
            for child in &manifests {
                manifest::fetch_into(&session, store, child).await?;
            }
        }
        for child in &manifests {
            let document = store.manifest(child.digest()).map_err(|e| session.store(e))?;
            if document.config().size() > DOCUMENT_LIMIT {
                return Err(session.too_large("configuration", DOCUMENT_LIMIT));
            }
            blob::fetch(&session, store, document.config(), &crate::progress::Silent).await?;
        }
        Ok(manifests)
    })
}

/// Fetches one blob.
pub(crate) fn fetch_blob(
    store: &Store,
    reference: &Reference,
    descriptor: &Descriptor,
    config: &Config,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let runtime = super::runtime()?;
    let endpoint = config.endpoint(reference.domain());
    let session = Session::new(config, endpoint, reference, Access::Pull)?;
    runtime.block_on(blob::fetch(&session, store, descriptor, progress))
}
