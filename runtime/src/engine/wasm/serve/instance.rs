//! Instances of WASI 0.2 and where they wait between two requests.

use super::super::host::Host;
use super::reuse::{Reuse, has_grown};
use super::{Blueprint, IDLE};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::Proxy;

/// Handles that an instance may leave open, beside those that it has open after its first request.
const HANDLES: usize = 1000;

/// An instance and what is known of it.
pub(super) struct Instance {
    pub store: Store<Host>,
    pub proxy: Proxy,
    /// Requests that it has answered.
    pub answered: u32,
    /// Bytes and handles that it held after the first of them.
    first: (u64, usize),
    since: Instant,
}

impl Instance {
    pub fn new(store: Store<Host>, proxy: Proxy) -> Self {
        Self { store, proxy, answered: 0, first: (0, 0), since: Instant::now() }
    }

    /// Whether the guest has kept a body that it was writing.
    pub fn has_unfinished_body(&mut self) -> bool {
        self.store.data_mut().has_unfinished_body()
    }

    /// A request has been answered. Whether the instance has left nothing behind and may answer another.
    fn is_good(&mut self, reuse: &Reuse) -> bool {
        self.answered += 1;
        reuse.proves(self.answered);
        if !reuse.allows(self.answered) {
            return false;
        }
        let host = self.store.data_mut();
        let held = host.limits.held().load(Ordering::Relaxed);
        let handles = host.open_handles();
        if self.answered == 1 {
            self.first = (held, handles);
        }
        !has_grown(self.first.0, held) && handles <= self.first.1 + HANDLES
    }
}

/// Where a thread's instances wait.
pub(super) struct Home {
    /// The one used last is used next: the others grow old at the start.
    idle: Mutex<Vec<Instance>>,
    /// Somebody is going to drop the old ones.
    swept: AtomicBool,
}

impl Home {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), swept: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self, reuse: &Reuse) -> Option<Instance> {
        loop {
            let instance = self.lock().pop()?;
            if reuse.allows(instance.answered) {
                return Some(instance);
            }
        }
    }

    /// Takes an instance back that has answered a request.
    pub fn put(self: &Arc<Self>, mut instance: Instance, blueprint: &Blueprint) {
        if !instance.is_good(&blueprint.reuse) {
            return;
        }
        instance.since = Instant::now();
        let several = {
            let mut idle = self.lock();
            idle.push(instance);
            idle.len() > 1
        };
        blueprint.account.tell();
        if several && !self.swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Drops all that wait; whether there were any.
    pub fn clear(&self) -> bool {
        let idle = std::mem::take(&mut *self.lock());
        !idle.is_empty()
    }

    /// Drops instances that a burst has left behind; the last one stays.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(IDLE).await;
            let mut idle = self.lock();
            let spare = idle.len().saturating_sub(1);
            let old = idle.iter().take(spare).take_while(|i| i.since.elapsed() >= IDLE).count();
            let old: Vec<Instance> = idle.drain(..old).collect();
            let done = idle.len() <= 1;
            drop(idle);
            drop(old);
            if done {
                self.swept.store(false, Ordering::Relaxed);
                return;
            }
        }
    }
}
