//! Manifests and indexes from and to a registry (OCI distribution-spec, "Pulling manifests").

use super::Error;
use super::session::{Call, DOCUMENT_LIMIT, Session};
use knarr_core::image::{Descriptor, Digest, MediaType, media_type};
use knarr_core::store::{Hasher, Store, digest_of};
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use std::str::FromStr;

/// A manifest or an index as the registry sent it, its digest verified.
#[derive(Debug)]
pub(super) struct Document {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

/// Docker's manifests before 2016, signed JSON with a media type of their own.
const SCHEMA_1: &[&str] = &[
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// Fetches what a tag or a digest names.
pub(super) async fn fetch(session: &Session<'_>, which: &str) -> Result<Document, Error> {
    let accept = [media_type::MANIFESTS, media_type::INDEXES].concat().join(", ");
    let call = Call::new(Method::GET, session.url(&format!("manifests/{which}"))?)
        .header(header::ACCEPT, &accept);
    let what = format!("manifest {which}");
    let response = session.call(&call, &what).await?;
    if response.status() != StatusCode::OK {
        return Err(session.refusal(response, &what).await);
    }
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let content_type = text(header::CONTENT_TYPE);
    let stated = text(header::HeaderName::from_static("docker-content-digest"));
    let bytes = session.body(response, DOCUMENT_LIMIT, &what).await?;

    let expected = match Digest::from_str(which) {
        Ok(digest) => Some(digest),
        // a tag: what the registry says of itself must at least be true
        Err(_) => stated.and_then(|text| Digest::from_str(&text).ok()),
    };
    let digest = match expected {
        None => digest_of(&bytes),
        Some(expected) => {
            verify(session, &what, &expected, &bytes)?;
            expected
        }
    };
    let media_type = media_type_of(session, content_type, &bytes)?;
    let descriptor =
        Descriptor::new(MediaType::from(media_type.as_str()), bytes.len() as u64, digest);
    Ok(Document { descriptor, bytes })
}

/// Fetches what a descriptor in an index names into the store, unless it is there.
pub(super) async fn fetch_into(
    session: &Session<'_>,
    store: &Store,
    descriptor: &Descriptor,
) -> Result<(), Error> {
    if store.holds(descriptor).map_err(|e| session.store(e))? {
        return Ok(());
    }
    if descriptor.size() > DOCUMENT_LIMIT {
        let what = format!("manifest {}", descriptor.digest());
        return Err(session.too_large(&what, DOCUMENT_LIMIT));
    }
    let document = fetch(session, descriptor.digest().as_ref()).await?;
    if document.bytes.len() as u64 != descriptor.size() {
        return Err(Error::SizeMismatch {
            registry: session.registry.clone(),
            reference: session.reference.clone(),
            what: format!("manifest {}", descriptor.digest()),
            expected: descriptor.size(),
            found: document.bytes.len() as u64,
        });
    }
    keep(session, store, &document)
}

/// Writes a document to the store.
pub(super) fn keep(session: &Session<'_>, store: &Store, document: &Document) -> Result<(), Error> {
    let digest = document.descriptor.digest();
    let size = document.bytes.len() as u64;
    let write = || {
        let mut writer = store.writer(digest, Some(size))?;
        if !writer.is_complete() {
            writer.restart()?;
            std::io::Write::write_all(&mut writer, &document.bytes)
                .map_err(|source| super::blob::write_error(store, digest, source))?;
        }
        writer.commit()
    };
    write().map_err(|e| session.store(e))
}

fn verify(session: &Session<'_>, what: &str, expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let mut hasher = Hasher::like(expected).map_err(|e| session.store(e))?;
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
        what: what.to_owned(),
        expected: expected.clone(),
        found,
    })
}

/// The document's own word counts, then the header's; some registries send `application/json` for all.
fn media_type_of(
    session: &Session<'_>,
    content_type: Option<String>,
    bytes: &[u8],
) -> Result<String, Error> {
    let header = content_type.as_deref().and_then(|t| t.split(';').next()).map(str::trim);
    let schema_1 = || Error::Schema1 {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
    };
    let not_a_manifest = |media_type: &str| Error::NotAManifest {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
        media_type: media_type.to_owned(),
    };
    if header.is_some_and(|h| SCHEMA_1.contains(&h)) {
        return Err(schema_1());
    }
    let unnamed = header.unwrap_or("content without a type");
    let probe: Probe = serde_json::from_slice(bytes).map_err(|_| not_a_manifest(unnamed))?;
    if probe.schema_version == Some(1) {
        return Err(schema_1());
    }
    let known = |t: &&str| media_type::is_index(t) || media_type::is_manifest(t);
    match (probe.media_type.as_deref(), header.filter(known)) {
        (Some(own), _) if known(&own) => Ok(own.to_owned()),
        (Some(own), _) => Err(not_a_manifest(own)),
        (None, Some(header)) => Ok(header.to_owned()),
        (None, None) if probe.schema_version != Some(2) => Err(not_a_manifest(unnamed)),
        (None, None) if probe.manifests.is_some() => Ok(media_type::INDEXES[0].to_owned()),
        (None, None) => Ok(media_type::MANIFESTS[0].to_owned()),
    }
}

/// Uploads a manifest or an index under a tag or its digest.
pub(super) async fn push(
    session: &Session<'_>,
    which: &str,
    media_type: &str,
    bytes: Vec<u8>,
) -> Result<(), Error> {
    let what = format!("manifest {which}");
    let call = Call::new(Method::PUT, session.url(&format!("manifests/{which}"))?)
        .header(header::CONTENT_TYPE, media_type)
        .body(bytes.into());
    let response = session.call(&call, &what).await?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(session.refusal(response, &what).await)
}

/// Whether the repository has a manifest.
pub(super) async fn exists(session: &Session<'_>, digest: &Digest) -> Result<bool, Error> {
    let accept = [media_type::MANIFESTS, media_type::INDEXES].concat().join(", ");
    let call = Call::new(Method::HEAD, session.url(&format!("manifests/{digest}"))?)
        .header(header::ACCEPT, &accept);
    Ok(session.call(&call, "manifest").await?.status() == StatusCode::OK)
}
