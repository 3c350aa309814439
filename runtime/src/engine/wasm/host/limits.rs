//! What guests may hold: one account for all stores of a container, and the memory of having refused.

use super::super::trap::Denied;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use wasmtime::ResourceLimiter;

/// Elements of one table; each is a pointer. Far beyond what compilers emit.
const TABLE: usize = 10_000_000;

/// What a store takes beside its memories and tables: its stack and the host's side of it.
const STORE: u64 = 128 << 10;

/// What a handle or a core instance takes at the least.
const PART: u64 = 1 << 10;

/// What a container may hold (`--memory`), and what its stores do hold.
#[derive(Default)]
pub(in crate::engine::wasm) struct Account {
    limit: Option<u64>,
    used: AtomicU64,
    stores: AtomicU64,
    freed: Notify,
    /// Gives up what nobody uses just now.
    spare: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Account {
    pub fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self { limit, ..Self::default() })
    }

    /// What to call when there is no room: it drops stores that wait for work.
    pub fn spare(&self, give_up: impl Fn() + Send + Sync + 'static) {
        let _ = self.spare.set(Box::new(give_up));
    }

    /// Stores that live.
    pub fn stores(&self) -> u64 {
        self.stores.load(Ordering::Acquire)
    }

    /// A store has been dropped, or waits for work and can be dropped.
    pub fn tell(&self) {
        self.freed.notify_waiters();
    }

    /// Waits until there may be room, from this call on.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Of the parts of this kind one store may have so many.
    fn parts(&self, usual: usize) -> usize {
        let fit = self.limit.map_or(u64::MAX, |limit| limit / PART);
        usual.min(usize::try_from(fit).unwrap_or(usize::MAX))
    }

    fn take(&self, bytes: u64) -> bool {
        let Some(limit) = self.limit else { return true };
        let fits = || {
            let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
            self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
        };
        fits() || {
            if let Some(give_up) = self.spare.get() {
                give_up();
            }
            fits()
        }
    }

    fn give(&self, bytes: u64) {
        if self.limit.is_some() {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
        }
    }
}

/// One store's part of the account.
pub(in crate::engine::wasm) struct Limits {
    account: Arc<Account>,
    held: Arc<AtomicU64>,
    pub denied: Option<Denied>,
    /// Nothing has come of this store: whoever waits need not know of its end.
    in_vain: bool,
}

impl Limits {
    pub fn new(account: &Arc<Account>) -> Self {
        account.stores.fetch_add(1, Ordering::AcqRel);
        Self { account: account.clone(), held: Arc::default(), denied: None, in_vain: false }
    }

    /// Bytes that the store holds, for those who cannot reach the store itself.
    pub fn held(&self) -> Arc<AtomicU64> {
        self.held.clone()
    }

    /// Handles that the store's guest may have to what the host keeps for it.
    pub fn handles(&self, usual: usize) -> usize {
        self.account.parts(usual)
    }

    pub fn in_vain(&mut self) {
        self.in_vain = true;
    }

    fn grow(&mut self, bytes: u64) -> bool {
        // the first that a store takes is its own part
        let own = if self.held.load(Ordering::Relaxed) == 0 { STORE } else { 0 };
        let granted = self.account.take(bytes + own);
        if granted {
            self.held.fetch_add(bytes + own, Ordering::Relaxed);
        } else if let Some(limit) = self.account.limit {
            let wanted = self.held.load(Ordering::Relaxed) + bytes + own;
            self.denied = Some(Denied { wanted, limit });
        }
        granted
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.account.give(self.held.load(Ordering::Relaxed));
        self.account.stores.fetch_sub(1, Ordering::AcqRel);
        if !self.in_vain {
            self.account.tell();
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(allowed && self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current) * size_of::<usize>();
        Ok(desired <= maximum.unwrap_or(TABLE).min(TABLE) && self.grow(bytes as u64))
    }

    fn instances(&self) -> usize {
        self.account.parts(wasmtime::DEFAULT_INSTANCE_LIMIT)
    }

    fn tables(&self) -> usize {
        self.account.parts(wasmtime::DEFAULT_TABLE_LIMIT)
    }

    fn memories(&self) -> usize {
        self.account.parts(wasmtime::DEFAULT_MEMORY_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_of_a_container_share_its_limit() {
        let account = Account::new(Some(10 << 20));
        let mut stores = [Limits::new(&account), Limits::new(&account)];
        let page = 64 << 10;
        assert!(stores[0].memory_growing(0, 6 << 20, None).unwrap());
        assert!(!stores[1].memory_growing(0, 6 << 20, None).unwrap());
        assert!(stores[1].denied.is_some());
        assert!(stores[1].memory_growing(0, page, None).unwrap());
        // a table of pointers counts as much as a memory
        assert!(!stores[1].table_growing(0, 1 << 20, None).unwrap());
        drop(std::mem::replace(&mut stores[0], Limits::new(&account)));
        assert!(stores[1].table_growing(0, 1 << 20, None).unwrap());
        assert_eq!(account.stores(), 2);
    }

    #[test]
    fn what_nobody_uses_makes_room() {
        let account = Account::new(Some(10 << 20));
        let idle = std::sync::Mutex::new(Some(Limits::new(&account)));
        let mut busy = Limits::new(&account);
        let grown = idle.lock().unwrap().as_mut().map(|s| s.memory_growing(0, 8 << 20, None));
        assert!(grown.unwrap().unwrap());
        account.spare(move || drop(idle.lock().unwrap().take()));
        assert!(busy.memory_growing(0, 8 << 20, None).unwrap());
    }

    #[test]
    fn without_a_limit_nothing_is_refused() {
        let mut store = Limits::new(&Account::new(None));
        assert!(store.memory_growing(0, 3 << 30, None).unwrap());
        assert!(!store.table_growing(0, TABLE + 1, None).unwrap());
    }
}
