//! From a layer's blob to the bytes of its archive: decompressed, hashed and counted in a thread of its own,
//! so that this and the making of files overlap.

use super::Error;
use crate::compression::decompress;
use crate::image::Digest;
use crate::store::Hasher;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

const CHUNK: usize = 1 << 18;
/// Chunks on their way: 2 MiB for each layer that is being unpacked.
const CHUNKS: usize = 8;

/// Runs `consume` over the archive in `blob`, and returns its result with the digest of all that was in the
/// archive, made by the algorithm that `expected` uses.
pub fn with_archive<T>(
    blob: File,
    expected: &Digest,
    limit: u64,
    consume: impl FnOnce(Chunks) -> Result<T, Error>,
) -> Result<(T, Digest), Error> {
    let mut hasher = Hasher::like(expected)
        .map_err(|_| Error::DigestAlgorithm(expected.algorithm().to_string()))?;
    // the limit is kept below, for what is not compressed as well
    let input = decompress(blob, u64::MAX).map_err(Error::Read)?;
    let (sender, receiver) = sync_channel(CHUNKS);
    let (spare_sender, spare) = sync_channel(CHUNKS + 1);
    thread::scope(|scope| {
        let produce = scope.spawn(move || {
            produce(input, &mut hasher, limit, &sender, &spare);
            hasher
        });
        let result = consume(Chunks { receiver, spare: spare_sender, chunk: Vec::new(), at: 0 });
        let hasher = match produce.join() {
            Ok(hasher) => hasher,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((result?, hasher.finish()))
    })
}

/// Ends at the end of the input, at an error (which it sends), or when nobody listens any more.
fn produce(
    mut input: impl Read,
    hasher: &mut Hasher,
    limit: u64,
    chunks: &SyncSender<io::Result<Vec<u8>>>,
    spare: &Receiver<Vec<u8>>,
) {
    let mut total = 0;
    loop {
        let mut chunk = spare.try_recv().unwrap_or_default();
        chunk.clear();
        chunk.reserve_exact(CHUNK);
        let read = input.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        total += chunk.len() as u64;
        let message = match read {
            Err(e) => Err(e),
            Ok(0) => return,
            Ok(_) if total > limit => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
            Ok(_) => {
                hasher.update(&chunk);
                Ok(chunk)
            }
        };
        let failed = message.is_err();
        if chunks.send(message).is_err() || failed {
            return;
        }
    }
}

/// The bytes of an archive.
pub struct Chunks {
    receiver: Receiver<io::Result<Vec<u8>>>,
    spare: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            // full when the producer has enough: then this one is freed
            let _ = self.spare.try_send(std::mem::take(&mut self.chunk));
            self.at = 0;
            self.chunk = match self.receiver.recv() {
                Ok(chunk) => chunk?,
                Err(_) => Vec::new(),
            };
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
