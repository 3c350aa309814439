//! Instances without work, in all threads: what a container gives up where it has no room.

use super::instance::Home;
use std::sync::{Mutex, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[derive(Default)]
pub(super) struct Spare {
    /// Where instances of WASI 0.2 wait.
    homes: Mutex<Vec<Weak<Home>>>,
    /// Told to instances of WASI 0.3, each of which has a task.
    wanted: Notify,
}

impl Spare {
    pub fn add(&self, home: &std::sync::Arc<Home>) {
        self.homes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(std::sync::Arc::downgrade(home));
    }

    /// Drops instances that wait, and tells the others to end; whether any was dropped.
    pub fn give_up(&self) -> bool {
        self.wanted.notify_waiters();
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cleared = homes.iter().filter_map(Weak::upgrade).filter(|home| home.clear()).count();
        cleared > 0
    }

    /// Waits until somebody lacks room.
    pub fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }
}
