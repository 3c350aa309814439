//! Storing a blob piece by piece, and going on where an earlier attempt broke off.

use super::{Error, Result, Store, hash::Hasher};
use crate::fsx::{self, Context};
use crate::image::Digest;
use crate::lock::Lock;
use crate::sys;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// A blob that is arriving.
///
/// [`Self::offset`] bytes of it are there already, left by an attempt that broke off; the next byte to write
/// is the one at that offset. Dropping the writer keeps what has arrived for the next attempt.
///
/// One process at a time writes a blob: [`Store::writer`] waits for another one that does. When that one
/// succeeded, this writer comes [complete](Self::is_complete), and there is nothing to write.
#[derive(Debug)]
pub struct BlobWriter {
    expected: Digest,
    size: Option<u64>,
    offset: u64,
    /// `None` once the blob is in place.
    partial: Option<Partial>,
    path: PathBuf,
    blobs: PathBuf,
}

struct Partial {
    lock: Lock,
    hasher: Hasher,
    path: PathBuf,
    /// What has arrived is worth another attempt.
    resumable: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // still locked: nobody else has begun to go on with it
        if !self.resumable {
            let _ = fsx::remove_file(&self.path);
        }
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partial").field("path", &self.path).finish_non_exhaustive()
    }
}

impl BlobWriter {
    pub(super) fn open(store: &Store, expected: &Digest, size: Option<u64>) -> Result<Self> {
        let hasher = Hasher::like(expected)?;
        let path = store.blob_path(expected);
        let blobs = path.parent().map_or_else(|| store.root.blobs(), PathBuf::from);
        if blobs != store.root.blobs() {
            fsx::create_dir_all(&blobs)?;
        }
        let name = format!("{}.partial", expected.digest());
        let partial_path = store.root.incoming().join(name);
        let mut writer =
            Self { expected: expected.clone(), size, offset: 0, partial: None, path, blobs };
        loop {
            if let Some(present) = fsx::size_optional(&writer.path)? {
                writer.offset = present;
                return Ok(writer);
            }
            let lock = Lock::exclusive(&partial_path)?;
            // whoever held the lock before may have renamed or removed the file that we waited for
            if sys::is_same_file(lock.file(), &partial_path)? {
                let mut partial = Partial { lock, hasher, path: partial_path, resumable: false };
                writer.offset = partial.resume(size)?;
                writer.partial = Some(partial);
                return Ok(writer);
            }
        }
    }

    /// What has arrived stays when this is given up, or turns out short: another attempt goes on from there.
    pub fn resumable(mut self) -> Self {
        if let Some(partial) = &mut self.partial {
            partial.resumable = true;
        }
        self
    }

    /// How many bytes are there: where to resume.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The blob turned out to be in the store.
    pub fn is_complete(&self) -> bool {
        self.partial.is_none()
    }

    pub fn digest(&self) -> &Digest {
        &self.expected
    }

    /// Starts over: a server that cannot resume sends everything again.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(partial) = &mut self.partial {
            partial.lock.file().set_len(0).at("truncate", &partial.path)?;
            io::Seek::rewind(&mut partial.lock.file()).at("rewind", &partial.path)?;
            partial.hasher = Hasher::like(&self.expected)?;
            self.offset = 0;
        }
        Ok(())
    }

    /// Verifies size and digest, and gives the blob its name; it is on disk when this returns. Content that
    /// turns out wrong is removed, and so is what is short, unless it is [`Self::resumable`].
    pub fn commit(mut self) -> Result<()> {
        let partial = self.partial.take();
        if let Some(size) = self.size
            && self.offset != size
        {
            return Err(Error::SizeMismatch {
                digest: self.expected.clone(),
                expected: size,
                found: self.offset,
            });
        }
        // somebody else's, verified by them
        let Some(mut partial) = partial else { return Ok(()) };
        let found = partial.hasher.clone().finish();
        if found != self.expected {
            partial.resumable = false;
            return Err(Error::DigestMismatch { expected: self.expected.clone(), found });
        }
        partial.lock.file().sync_data().at("sync", &partial.path)?;
        fsx::rename(&partial.path, &self.path)?;
        // from now on the name is somebody else's
        partial.resumable = true;
        Ok(fsx::sync_directory(&self.blobs)?)
    }
}

impl Partial {
    /// Hashes what an earlier attempt left; more than `size` bytes of it cannot be right.
    fn resume(&mut self, size: Option<u64>) -> Result<u64> {
        let mut file = self.lock.file();
        let present = file.metadata().at("inspect", &self.path)?.len();
        if size.is_some_and(|size| present > size) {
            file.set_len(0).at("truncate", &self.path)?;
            return Ok(0);
        }
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer).at("read", &self.path)? {
                0 => return Ok(present),
                n => self.hasher.update(&buffer[..n]),
            }
        }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(partial) = &mut self.partial else {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the blob is complete"));
        };
        if self.size.is_some_and(|size| self.offset + bytes.len() as u64 > size) {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{} is longer than was announced", self.expected),
            ));
        }
        let written = partial.lock.file().write(bytes)?;
        partial.hasher.update(&bytes[..written]);
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
