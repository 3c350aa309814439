//! What a directory holds, kept for as long as a guest goes through it.
//!
//! WASI 0.1 counts the entries that a guest has seen, and so does the adapter of components that were made of such
//! programs. Were the directory listed anew for each piece, whoever removes entries while going through them (`rm -r`) would
//! pass others by. Linux does not: so the listing that a guest has begun is the one that it goes on with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;

/// Bytes of all listings of a guest together.
const MOST: usize = 64 << 20;
/// A `dirent` without its name (`wasi_snapshot_preview1.witx`).
const DIRENT: usize = 24;

/// Of preview 1, by the directory's number.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Listings(HashMap<u32, Listing>);

#[derive(Debug)]
struct Listing {
    /// Each a `dirent` and its name.
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Listings {
    /// Bytes that another listing may have.
    pub fn room(&self) -> usize {
        let used = self.0.values().map(|l| l.bytes.len() + l.starts.len() * size_of::<usize>());
        MOST.saturating_sub(used.sum())
    }

    /// Keeps what `fd_readdir` has written for the whole directory.
    pub fn keep(&mut self, number: u32, bytes: Vec<u8>) {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(length) = bytes.get(at + 16..at + 20) {
            starts.push(at);
            let name = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            at += DIRENT + name as usize;
        }
        self.0.insert(number, Listing { bytes, starts });
    }

    /// The entries that come after so many; `None` if there is no listing.
    pub fn after(&self, number: u32, cookie: u64) -> Option<&[u8]> {
        let listing = self.0.get(&number)?;
        let start = usize::try_from(cookie).ok().and_then(|n| listing.starts.get(n));
        Some(&listing.bytes[start.copied().unwrap_or(listing.bytes.len())..])
    }

    pub fn remove(&mut self, number: u32) {
        self.0.remove(&number);
    }

    pub fn renumber(&mut self, from: u32, to: u32) {
        match self.0.remove(&from) {
            Some(listing) => drop(self.0.insert(to, listing)),
            None => self.remove(to),
        }
    }
}

/// Of components, by the descriptor's number.
///
/// Their directories are streams, which begin anew each time. A guest that asks for a second one before it has come to the
/// first one's end finds all entries where they were, and new ones behind them: that is the adapter, which had another
/// directory to read meanwhile, and counts. One that has seen everything gets what is there now.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Streams(HashMap<u32, Arc<Vec<DirectoryEntry>>>);

/// A guest's place in a listing.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Stream {
    descriptor: u32,
    entries: Arc<Vec<DirectoryEntry>>,
    at: usize,
}

impl Streams {
    /// A stream of a directory that holds these entries. `None`: that is more than can be kept.
    pub fn begin(&mut self, descriptor: u32, mut entries: Vec<DirectoryEntry>) -> Option<Stream> {
        if let Some(begun) = self.0.remove(&descriptor) {
            let names: HashSet<&str> = begun.iter().map(|entry| entry.name.as_str()).collect();
            entries.retain(|entry| !names.contains(entry.name.as_str()));
            entries.splice(0..0, begun.iter().cloned());
        }
        let size = |all: &[DirectoryEntry]| {
            all.iter().map(|e| size_of::<DirectoryEntry>() + e.name.len()).sum::<usize>()
        };
        let used: usize = self.0.values().map(|entries| size(entries)).sum();
        if used + size(&entries) > MOST {
            return None;
        }
        let entries = Arc::new(entries);
        self.0.insert(descriptor, entries.clone());
        Some(Stream { descriptor, entries, at: 0 })
    }

    pub fn next(&mut self, stream: &mut Stream) -> Option<DirectoryEntry> {
        let entry = stream.entries.get(stream.at).cloned();
        stream.at += 1;
        let is_this = |kept: &Arc<Vec<DirectoryEntry>>| Arc::ptr_eq(kept, &stream.entries);
        if entry.is_none() && self.0.get(&stream.descriptor).is_some_and(is_this) {
            self.0.remove(&stream.descriptor);
        }
        entry
    }

    pub fn remove(&mut self, descriptor: u32) {
        self.0.remove(&descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted() {
        let entry = |name: &str| {
            let mut bytes = vec![0; DIRENT];
            bytes[16] = name.len() as u8;
            bytes.extend(name.bytes());
            bytes
        };
        let mut listings = Listings::default();
        assert_eq!(listings.after(3, 0), None);
        listings.keep(3, [entry("a"), entry("bcd")].concat());
        assert_eq!(listings.after(3, 0).map(<[u8]>::len), Some(52));
        assert_eq!(listings.after(3, 1), Some(entry("bcd").as_slice()));
        assert_eq!(listings.after(3, 2), Some(&[][..]));
        assert_eq!(listings.after(3, u64::MAX), Some(&[][..]));
        listings.renumber(3, 5);
        assert_eq!((listings.after(3, 0), listings.after(5, 2)), (None, Some(&[][..])));
    }
}
