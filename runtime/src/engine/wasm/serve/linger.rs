//! Waiting awake for the next request of a busy client.
//!
//! Putting a processor to sleep and waking it up takes longer than a small guest needs for a request, most of all in a
//! virtual machine. A thread that is asked again at once therefore looks for the next request a moment longer before it
//! sleeps. It does so only where it takes no processor from others, and only as long as this pays.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// About what it takes to fall asleep and to wake up, on both sides of a request.
const MOMENT: Duration = Duration::from_micros(100);

/// The requests of one thread.
pub(super) struct Linger {
    answered: Mutex<Instant>,
    awake: AtomicBool,
    /// Threads that serve, of all.
    threads: Arc<AtomicUsize>,
    processors: usize,
}

impl Linger {
    pub fn new(threads: Arc<AtomicUsize>, processors: usize) -> Arc<Self> {
        let answered = Mutex::new(Instant::now());
        Arc::new(Self { answered, awake: AtomicBool::new(false), threads, processors })
    }

    /// A request has been answered.
    pub fn answered(self: &Arc<Self>) {
        let now = Instant::now();
        let last = std::mem::replace(&mut *self.last(), now);
        // each thread's client may be on this machine too
        let room = self.threads.load(Ordering::Relaxed) * 2 <= self.processors;
        if room && now - last < 2 * MOMENT && !self.awake.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().stay_awake());
        }
    }

    async fn stay_awake(self: Arc<Self>) {
        while self.last().elapsed() < MOMENT {
            // the event loop looks for what has come, and does not wait
            tokio::task::yield_now().await;
        }
        self.awake.store(false, Ordering::Relaxed);
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
