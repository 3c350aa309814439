//! How often an instance may answer, and what a server learns about that from its guest.
//!
//! Most guests answer any number of requests. Some are made for one: the handler of a second request returns without a
//! response, or traps. The request that met such an instance is given to a fresh one, and if that answers it, no instance
//! gets as far again.

use super::super::host::stdio::Output;
use knarr_core::spec::InstanceRequests;
use std::sync::atomic::{AtomicU32, Ordering};

/// What instances may grow by, beside twice of what they held after their first request.
const GROWTH: u64 = 16 << 20;

/// Shared by all threads of a server.
#[derive(Debug)]
pub(super) struct Reuse {
    /// Requests that an instance may answer.
    most: AtomicU32,
    /// The most that any has answered.
    proven: AtomicU32,
    /// Failures at a request as late as none was ever answered, without a fresh instance to compare with.
    doubts: AtomicU32,
}

impl Reuse {
    pub fn new(asked: InstanceRequests) -> Self {
        let most = AtomicU32::new(asked.most());
        Self { most, proven: AtomicU32::new(0), doubts: AtomicU32::new(0) }
    }

    /// Whether an instance that has answered so many requests may answer another.
    pub fn allows(&self, answered: u32) -> bool {
        answered < self.most.load(Ordering::Relaxed)
    }

    /// An instance has answered so many.
    pub fn proves(&self, answered: u32) {
        if answered > self.proven.load(Ordering::Relaxed) {
            self.proven.fetch_max(answered, Ordering::Relaxed);
            self.doubts.store(0, Ordering::Relaxed);
        }
    }

    /// An instance that had answered so many failed at the next one, which a fresh instance answered.
    pub fn learn(&self, answered: u32) {
        let answered = answered.max(1);
        if self.most.fetch_min(answered, Ordering::Relaxed) > answered {
            let requests = if answered == 1 { "one request" } else { "requests" };
            let number = if answered == 1 { String::new() } else { format!(" {answered}") };
            let text = format!(
                "note: an instance of this guest answers{number} {requests} and no more: from now on a fresh one takes its \
                 place then (as with --wasm-instance-requests {answered})\n"
            );
            let _ = Output::Stderr.write_all(text.as_bytes());
        }
    }

    /// The same, where the request could not be given to a fresh instance: once may be the request's fault.
    pub fn doubt(&self, answered: u32) {
        let proven = self.proven.load(Ordering::Relaxed);
        if proven <= answered && self.doubts.fetch_add(1, Ordering::Relaxed) > 0 {
            self.learn(answered);
        }
    }
}

/// Whether an instance has grown beyond what its guest needs: it held `first` bytes after its first request.
pub(super) fn has_grown(first: u64, held: u64) -> bool {
    held > first * 2 + GROWTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual() {
        let reuse = Reuse::new(InstanceRequests::default());
        assert!(reuse.allows(0) && reuse.allows(999) && !reuse.allows(1000));
        assert!(Reuse::new(InstanceRequests::Unlimited).allows(u32::MAX - 1));
        assert!(!Reuse::new(InstanceRequests::ONE).allows(1));
    }

    #[test]
    fn what_is_learned_only_lowers() {
        let reuse = Reuse::new(InstanceRequests::default());
        reuse.learn(7);
        assert!(reuse.allows(6) && !reuse.allows(7));
        reuse.learn(9);
        assert!(!reuse.allows(7));
        reuse.learn(0);
        assert!(reuse.allows(0) && !reuse.allows(1));
    }

    #[test]
    fn a_failure_counts_twice_or_not_at_all() {
        let reuse = Reuse::new(InstanceRequests::default());
        reuse.proves(1);
        reuse.doubt(1);
        assert!(reuse.allows(1));
        reuse.doubt(1);
        assert!(!reuse.allows(1));
        // others have come further: it was the request
        let reuse = Reuse::new(InstanceRequests::default());
        reuse.proves(5);
        (0..3).for_each(|_| reuse.doubt(1));
        assert!(reuse.allows(4));
    }
}
