//! The guest's networks as they are now.

use super::lock;
use crate::net::{self, Surroundings};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::io::unix::AsyncFd;

/// What the container's monitor has told last. Every look takes notice of the news that have come.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Current {
    /// `None`: they never change.
    monitor: Option<Arc<OwnedFd>>,
    watched: OnceLock<AsyncFd<Arc<OwnedFd>>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    now: Arc<Surroundings>,
    /// Those that nobody has taken yet.
    listeners: Vec<(u16, TcpListener)>,
}

impl Current {
    pub fn new(now: Surroundings, monitor: Option<OwnedFd>) -> Self {
        let known = Mutex::new(Known { now: Arc::new(now), listeners: Vec::new() });
        Self { monitor: monitor.map(Arc::new), watched: OnceLock::new(), known }
    }

    pub fn get(&self) -> Arc<Surroundings> {
        self.known().now.clone()
    }

    /// Listeners at new addresses, with the container's ports.
    pub fn listeners(&self) -> Vec<(u16, TcpListener)> {
        std::mem::take(&mut self.known().listeners)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = lock(&self.known);
        while let Some((now, listeners)) = self.monitor.as_ref().and_then(net::hear) {
            known.now = Arc::new(now);
            known.listeners.extend(listeners);
        }
        known
    }

    /// Returns when there are news, which somebody else may have taken notice of. For one event loop.
    pub async fn changed(&self) {
        let Some(monitor) = &self.monitor else { return std::future::pending().await };
        if self.watched.get().is_none() {
            // SAFETY: the descriptor stays open and the same as long as somebody has the `Arc`.
            match unsafe { AsyncFd::register(monitor.clone()) } {
                Ok(watched) => drop(self.watched.set(watched)),
                Err(_) => return std::future::pending().await,
            }
        }
        let Some(watched) = self.watched.get() else { return };
        if let Ok(mut ready) = watched.readable().await {
            ready.clear_ready();
        }
    }
}
