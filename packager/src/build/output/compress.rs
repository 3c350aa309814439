//! The blobs of layers that were built: made once they get into an image, several at a time.

use crate::build::Error;
use crate::build::execute::{Build, Layer};
use flate2::Compression;
use flate2::write::GzEncoder;
use knarr_core::image::{Descriptor, MediaType};
use knarr_core::store::Hasher;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The blob of each layer, in their order. The same layer gives the same blob.
pub fn blobs(build: &Build, layers: &[Layer]) -> Result<Vec<Descriptor>, Error> {
    let mut blobs: Vec<Option<Descriptor>> = Vec::with_capacity(layers.len());
    for layer in layers {
        blobs.push(match &layer.blob {
            Some(blob) => Some(blob.clone()),
            None => build.cache.blob(&layer.diff_id)?,
        });
    }
    let missing: Vec<usize> = (0..blobs.len()).filter(|at| blobs[*at].is_none()).collect();
    let next = AtomicUsize::new(0);
    let made: Mutex<Vec<(usize, Result<Descriptor, Error>)>> = Mutex::new(Vec::new());
    let work = || {
        while let Some(at) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = compress(build, &layers[*at]);
            if result.is_err() {
                next.store(missing.len(), Ordering::Relaxed);
            }
            made.lock().unwrap_or_else(|e| e.into_inner()).push((*at, result));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(missing.len()) {
            scope.spawn(work);
        }
        work();
    });
    for (at, result) in made.into_inner().unwrap_or_else(|e| e.into_inner()) {
        blobs[at] = Some(result?);
    }
    blobs.into_iter().collect::<Option<Vec<_>>>().ok_or(Error::Cancelled)
}

/// Compresses one layer, unless another build does so at the moment.
pub fn compress(build: &Build, layer: &Layer) -> Result<Descriptor, Error> {
    let claim = build.cache.claim(&layer.diff_id)?;
    if let Some(blob) = build.cache.blob(&layer.diff_id)? {
        return Ok(blob);
    }
    let failed = |source| Error::Write { what: format!("the layer {}", layer.diff_id), source };
    let staged = build.store.stage()?;
    let gzip =
        GzEncoder::new(io::BufWriter::with_capacity(1 << 18, staged), Compression::default());
    let mut out = Hashed { out: gzip, hasher: Hasher::sha256() };
    build.store.export_layer(&layer.chain, &mut out)?;
    let found = out.hasher.finish();
    if found != layer.diff_id {
        // somebody wrote into the store
        return Err(Error::Store(knarr_core::store::Error::DiffIdMismatch {
            expected: layer.diff_id.clone(),
            found,
        }));
    }
    let buffered = out.out.finish().map_err(failed)?;
    let staged = buffered.into_inner().map_err(|e| failed(e.into_error()))?;
    let (digest, size) = staged.finish()?;
    let blob = Descriptor::new(MediaType::ImageLayerGzip, size, digest);
    build.cache.put_blob(&layer.diff_id, &blob)?;
    drop(claim);
    Ok(blob)
}

struct Hashed<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
