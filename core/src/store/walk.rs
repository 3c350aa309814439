//! The bounds of a walk over the indexes of an image, which may be hostile: nested, repeated, wide.

use super::{Error, Result};
use crate::image::{Descriptor, Digest};
use std::collections::HashSet;

/// More nesting than this has no use: an index in an index is rare already.
const DEPTH: usize = 4;
/// Entries of all indexes of an image together. The largest that are known have some hundred.
const DESCRIPTORS: usize = 4096;

/// What a walk has met: each content is visited once, and an image that has too many entries is refused.
#[derive(Debug, Default)]
pub struct Walk {
    seen: HashSet<Digest>,
    met: usize,
}

impl Walk {
    /// Whether a descriptor, so many indexes below the top, is to be visited: not if its content was.
    pub fn enter(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool> {
        if depth > DEPTH {
            return Err(Error::NestedTooDeep { digest: descriptor.digest().clone(), limit: DEPTH });
        }
        self.met += 1;
        if self.met > DESCRIPTORS {
            return Err(Error::TooManyDescriptors { limit: DESCRIPTORS });
        }
        Ok(self.seen.insert(descriptor.digest().clone()))
    }
}
