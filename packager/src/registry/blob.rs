//! Blobs from and to a registry: downloads that resume, uploads of what is missing (OCI distribution-spec,
//! "Pulling blobs", "Pushing blobs").

use super::Error;
use super::follow::location;
use super::session::{Call, Session};
use crate::progress::{LayerEvent, Progress};
use bytes::Bytes;
use futures_util::stream;
use knarr_core::fsx;
use knarr_core::image::{Descriptor, Digest};
use knarr_core::store::{self, BlobWriter, Store};
use reqwest::{Method, Response, StatusCode, header};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Downloads a blob into the store, going on where an earlier attempt broke off.
///
/// Writes and hashes on the calling thread. `urls` of foreign layers are ignored: they let an image's author
/// make us fetch from anywhere.
pub(super) async fn fetch(
    session: &Session<'_>,
    store: &Store,
    descriptor: &Descriptor,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let transfer = Download { session, store, descriptor, progress };
    let mut writer = transfer.writer()?;
    let resumed = writer.offset() > 0;
    transfer.fill(&mut writer).await?;
    progress.layer(descriptor.digest(), LayerEvent::Verifying);
    match writer.commit() {
        Ok(()) => Ok(()),
        // what an earlier process left was damaged: once more from the start
        Err(store::Error::DigestMismatch { .. }) if resumed => {
            let mut writer = transfer.writer()?;
            writer.restart().map_err(|e| session.store(e))?;
            transfer.fill(&mut writer).await?;
            writer.commit().map_err(|e| transfer.mismatch(e))
        }
        Err(error) => Err(transfer.mismatch(error)),
    }
}

struct Download<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    descriptor: &'a Descriptor,
    progress: &'a dyn Progress,
}

impl Download<'_> {
    fn writer(&self) -> Result<BlobWriter, Error> {
        self.store
            .writer(self.descriptor.digest(), Some(self.descriptor.size()))
            .map(BlobWriter::resumable)
            .map_err(|e| self.session.store(e))
    }

    /// Receives until the blob has its size. Attempts count anew whenever bytes have arrived.
    async fn fill(&self, writer: &mut BlobWriter) -> Result<(), Error> {
        let attempts = self.session.timing().attempts;
        let mut attempt = 1;
        // an empty blob still has to exist in the registry
        while !writer.is_complete() && writer.offset() < self.descriptor.size() {
            let before = writer.offset();
            let error = match self.receive(writer).await {
                Ok(()) if writer.offset() == self.descriptor.size() => return Ok(()),
                Ok(()) => self.wrong_size(writer.offset()),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            if writer.offset() > before {
                attempt = 1;
            }
            if attempt >= attempts {
                return Err(error);
            }
            let event = LayerEvent::Retrying { attempt: attempt + 1, of: attempts };
            self.progress.layer(self.descriptor.digest(), event);
            tokio::time::sleep(self.session.pause(attempt)).await;
            attempt += 1;
        }
        Ok(())
    }

    /// One request and its body.
    async fn receive(&self, writer: &mut BlobWriter) -> Result<(), Error> {
        let (session, total) = (self.session, self.descriptor.size());
        let what = format!("blob {}", self.descriptor.digest());
        let offset = writer.offset();
        let mut call =
            Call::new(Method::GET, session.url(&format!("blobs/{}", self.descriptor.digest()))?);
        if offset > 0 {
            call = call.header(header::RANGE, &format!("bytes={offset}-"));
        }
        let mut response = session.call_once(&call).await?;
        let mut skip = match response.status() {
            StatusCode::OK => {
                self.check_length(&response, total)?;
                offset // a server without ranges sends what we have once more
            }
            StatusCode::PARTIAL_CONTENT if starts_at(&response, offset) => {
                self.check_length(&response, total - offset)?;
                0
            }
            StatusCode::PARTIAL_CONTENT => {
                return Err(session.protocol(format!("another range of {what} than asked for")));
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(self.wrong_size(offset)),
            _ => return Err(session.refusal(response, &what).await),
        };
        while let Some(chunk) = session.chunk(&mut response).await? {
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            let fresh = &chunk[known as usize..];
            if writer.offset() + fresh.len() as u64 > total {
                return Err(self.wrong_size(writer.offset() + fresh.len() as u64));
            }
            writer
                .write_all(fresh)
                .map_err(|e| session.store(write_error(self.store, self.descriptor.digest(), e)))?;
            let event = LayerEvent::Downloading { done: writer.offset(), total };
            self.progress.layer(self.descriptor.digest(), event);
        }
        Ok(())
    }

    fn check_length(&self, response: &Response, expected: u64) -> Result<(), Error> {
        match response.content_length() {
            Some(length) if length != expected => {
                Err(self.wrong_size(self.descriptor.size() - expected + length))
            }
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, found: u64) -> Error {
        Error::SizeMismatch {
            registry: self.session.registry.clone(),
            reference: self.session.reference.clone(),
            what: format!("blob {}", self.descriptor.digest()),
            expected: self.descriptor.size(),
            found,
        }
    }

    fn mismatch(&self, error: store::Error) -> Error {
        match error {
            store::Error::DigestMismatch { expected, found } => Error::DigestMismatch {
                registry: self.session.registry.clone(),
                reference: self.session.reference.clone(),
                what: "blob".into(),
                expected,
                found,
            },
            other => self.session.store(other),
        }
    }
}

/// `Content-Range: bytes 7-9/10` with the start that was asked for; a server may leave the header out.
fn starts_at(response: &Response, offset: u64) -> bool {
    let Some(range) = response.headers().get(header::CONTENT_RANGE) else { return true };
    let start = range.to_str().ok().and_then(|text| text.strip_prefix("bytes "));
    start.and_then(|text| text.split('-').next()?.parse().ok()) == Some(offset)
}

pub(super) fn write_error(store: &Store, digest: &Digest, source: io::Error) -> store::Error {
    let path = store.blob_path(digest);
    store::Error::File(fsx::Error { operation: "write", path, source })
}

/// Whether the repository has a blob.
pub(super) async fn exists(session: &Session<'_>, digest: &Digest) -> Result<bool, Error> {
    let call = Call::new(Method::HEAD, session.url(&format!("blobs/{digest}"))?);
    let response = session.call(&call, "blob").await?;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        _ => Err(session.refusal(response, &format!("blob {digest}")).await),
    }
}

/// Uploads a blob of the store unless the registry has it, or can take it from `source`, a repository of
/// its own.
pub(super) async fn push(
    session: &Session<'_>,
    store: &Store,
    descriptor: &Descriptor,
    source: Option<&str>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let digest = descriptor.digest();
    if exists(session, digest).await? {
        progress.layer(digest, LayerEvent::Present);
        return Ok(());
    }
    let mut source = source;
    let mut attempt = 1;
    loop {
        let error = match upload(session, store, descriptor, source, progress).await {
            Ok(Some(from)) => {
                progress.layer(digest, LayerEvent::Mounted { from });
                return Ok(());
            }
            Ok(None) => {
                progress.layer(digest, LayerEvent::Done);
                return Ok(());
            }
            Err(error) => error,
        };
        let attempts = session.timing().attempts;
        if !error.is_transient() || attempt >= attempts {
            return Err(error);
        }
        progress.layer(digest, LayerEvent::Retrying { attempt: attempt + 1, of: attempts });
        tokio::time::sleep(session.pause(attempt)).await;
        attempt += 1;
        source = None;
    }
}

/// One upload session; returns the repository that the blob was mounted from.
async fn upload(
    session: &Session<'_>,
    store: &Store,
    descriptor: &Descriptor,
    source: Option<&str>,
    progress: &dyn Progress,
) -> Result<Option<String>, Error> {
    let digest = descriptor.digest();
    let what = format!("blob {digest}");
    let mut start = session.url("blobs/uploads/")?;
    if let Some(from) = source {
        start.query_pairs_mut().append_pair("mount", digest.as_ref()).append_pair("from", from);
    }
    let call = Call::new(Method::POST, start.clone()).header(header::CONTENT_LENGTH, "0");
    let response = session.call_once(&call).await?;
    match (response.status(), source) {
        (StatusCode::CREATED, Some(from)) => return Ok(Some(from.to_owned())),
        (StatusCode::ACCEPTED, _) => {}
        _ => return Err(session.refusal(response, &what).await),
    }
    let target = location(response.headers())
        .ok_or_else(|| session.protocol("an upload without a location"))?;
    let mut url = session.resolve(&start, target)?;
    url.query_pairs_mut().append_pair("digest", digest.as_ref());

    let file = store.open_blob(digest).map_err(|e| session.store(e))?;
    let call = Call::new(Method::PUT, url)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, &descriptor.size().to_string());
    let sent = Arc::new(AtomicU64::new(0));
    let body = reqwest::Body::wrap_stream(read(file, sent.clone()));
    let put = session.request(&call, session.proof(&call.url).as_ref()).body(body).send();
    let response = watch(session, put, &sent, |done| {
        progress.layer(digest, LayerEvent::Pushing { done, total: descriptor.size() });
    })
    .await?;
    if response.status().is_success() {
        return Ok(None);
    }
    Err(session.refusal(response, &what).await)
}

/// Waits for an upload's answer as long as bytes go out, or for the idle time after the last one.
async fn watch(
    session: &Session<'_>,
    request: impl Future<Output = reqwest::Result<Response>>,
    sent: &AtomicU64,
    report: impl Fn(u64),
) -> Result<Response, Error> {
    let mut request = std::pin::pin!(request);
    let step = session.timing().idle / 20;
    let (mut last, mut idle) = (0, std::time::Duration::ZERO);
    loop {
        match tokio::time::timeout(step, &mut request).await {
            Ok(result) => {
                report(sent.load(Ordering::Relaxed));
                return result.map_err(|e| session.transport(e));
            }
            Err(_) => {
                let now = sent.load(Ordering::Relaxed);
                idle = if now == last { idle + step } else { std::time::Duration::ZERO };
                last = now;
                report(now);
            }
        }
        // the registry hashes and stores before it answers, which takes longer than passing bytes on
        if idle >= session.timing().connect + session.timing().idle {
            return Err(session.silent());
        }
    }
}

/// A file as a stream. Reads block the thread that drives the connections, but only for a moment: the
/// blob is in the page cache or comes from a local disk.
fn read(
    mut file: std::fs::File,
    sent: Arc<AtomicU64>,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::poll_fn(move |_| {
        let mut buffer = vec![0; 128 << 10];
        std::task::Poll::Ready(match file.read(&mut buffer) {
            Ok(0) => None,
            Ok(n) => {
                buffer.truncate(n);
                sent.fetch_add(n as u64, Ordering::Relaxed);
                Some(Ok(buffer.into()))
            }
            Err(e) => Some(Err(e)),
        })
    })
}
