//! How much one project may cost, whatever its files say.

use super::error::Error;
use crate::node::{Node, Place};

/// Levels of mappings and lists inside each other: what comes after parsing goes down by recursion.
pub(crate) const DEPTH: usize = 100;
/// Values in all files together, each copy of an alias or of an extended service counted.
const NODES: usize = 200_000;
/// Bytes of text in those values.
const BYTES: usize = 32 << 20;
/// Files read, each time that one is read counted.
const FILES: usize = 2_000;
/// Bytes of one file.
pub(crate) const FILE: u64 = 8 << 20;

/// What is left of the limits.
pub(crate) struct Budget {
    nodes: usize,
    bytes: usize,
    files: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: NODES, bytes: BYTES, files: FILES }
    }
}

impl Budget {
    /// Takes a value and its text.
    pub fn take(&mut self, nodes: usize, bytes: usize, place: &Place) -> Result<(), Error> {
        let left = self.nodes.checked_sub(nodes).zip(self.bytes.checked_sub(bytes));
        let Some((nodes, bytes)) = left else {
            return Err(Error::TooMuch { place: place.clone() });
        };
        (self.nodes, self.bytes) = (nodes, bytes);
        Ok(())
    }

    /// Takes a copy of a tree.
    pub fn copy(&mut self, node: &Node, place: &Place) -> Result<(), Error> {
        let (nodes, bytes) = node.weight();
        self.take(nodes, bytes, place)
    }

    /// Takes a file.
    pub fn file(&mut self) -> Result<(), Error> {
        self.files = self.files.checked_sub(1).ok_or(Error::TooManyFiles { limit: FILES })?;
        Ok(())
    }
}
