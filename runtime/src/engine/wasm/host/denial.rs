//! What the guest was refused by its network, for the container's log.

use super::stdio::Output;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Different refusals that are told; a guest that goes through all addresses must not fill the log.
const TOLD: usize = 1000;

/// One line for each thing that was refused, however often it is tried.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Denials(Mutex<HashSet<String>>);

impl Denials {
    /// Writes down that the guest may not do this.
    pub fn note(&self, what: &str) {
        self.tell(&format!("{what}: access denied by the container's network"));
    }

    /// Writes down what may surprise.
    pub fn tell(&self, what: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD && told.insert(what.to_owned()) {
            let line = format!("knarr: {what}\n");
            let _ = Output::Stderr.write_all(line.as_bytes());
        }
    }
}
