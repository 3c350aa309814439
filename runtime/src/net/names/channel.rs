//! What a Wasm guest's process and its monitor say to each other while the guest runs: one message for a question, one
//! for its answer, over a pair of connected sockets.
//!
//! A message is a byte that says what it is, two bytes by which the asker knows the answer again, and the rest. A DNS
//! message begins with two such bytes itself.

use knarr_core::spec::Protocol;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The rest is a DNS message, a question or its answer.
pub(crate) const NAMES: u8 = 0;
/// The rest is a [`Request`], or the address that answers it (or null).
pub(crate) const ADDRESSES: u8 = 1;

/// The longest message.
pub(crate) const LONGEST: usize = 65_536;

/// About addresses of a network that the host's loopback carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The guest's own port is reached at this address of the host.
    Publish { protocol: Protocol, inside: SocketAddr, outside: SocketAddr },
    /// Where is this port of another container reached?
    Find { protocol: Protocol, inside: SocketAddr },
}

/// A message and the mark by which its answer is known.
pub(crate) fn compose(kind: u8, mark: u16, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(mark.to_be_bytes());
    message.extend(rest);
    message
}

/// Kind, mark and rest of a message.
pub(crate) fn parts(message: &[u8]) -> Option<(u8, u16, &[u8])> {
    let [kind, a, b, rest @ ..] = message else { return None };
    Some((*kind, u16::from_be_bytes([*a, *b]), rest))
}
