//! The instances of one thread: made when needed, reused, dropped after a trap or a long idle time.

use super::super::guest::View;
use super::super::host::Host;
use super::super::host::limits::Limits;
use super::super::host::stdio::Output;
use super::super::trap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};

/// How long an instance beyond the first stays without work.
const IDLE: Duration = Duration::from_secs(30);
/// Requests that one 0.3 instance handles at the same time.
const CONCURRENT: usize = 64;

/// What instances are made of.
pub(super) struct Blueprint {
    pub pre: ProxyPre<Host>,
    pub engine: Engine,
    pub view: View,
    pub limits: Limits,
    pub isolate: bool,
    /// The guest handles several requests at the same time (WASI 0.3).
    pub concurrent: bool,
    /// Instances that one thread may have.
    pub share: u32,
}

/// One thread's instances.
pub(super) struct Instances {
    pub blueprint: Arc<Blueprint>,
    /// Whether the thread has the instance that stays.
    has_first: Arc<AtomicBool>,
}

impl Instances {
    pub fn new(blueprint: Arc<Blueprint>) -> Self {
        Self { blueprint, has_first: Arc::default() }
    }
}

impl HandlerState for Instances {
    type StoreData = Host;
    type WorkerExpiration = Expiration;
    type WorkerState = Life;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, Expiration, Life>> {
        let blueprint = &self.blueprint;
        let host = Host::new(&blueprint.view, blueprint.limits.clone())?;
        let mut store = Store::new(&blueprint.engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(1);
        // a guest that computes for long lets the thread's other requests run
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = blueprint.pre.instantiate_async(&mut store).await?;
        let first = !self.has_first.swap(true, Ordering::Relaxed);
        Ok(Instance {
            store,
            proxy,
            view: Host::http,
            expiration: Expiration { stays: first && !blueprint.isolate, sleep: None },
            state: Life {
                isolate: blueprint.isolate,
                concurrent: blueprint.concurrent,
                first: first.then(|| self.has_first.clone()),
            },
        })
    }
}

/// When an instance without work is dropped.
pub(super) struct Expiration {
    stays: bool,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        if self.stays || status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let (start, sleep) = self.sleep.get_or_insert_with(|| {
            (since, Box::pin(tokio::time::sleep_until((since + IDLE).into())))
        });
        if *start != since {
            *start = since;
            sleep.as_mut().reset((since + IDLE).into());
        }
        sleep.as_mut().poll(cx)
    }
}

/// How an instance lives and dies.
pub(super) struct Life {
    isolate: bool,
    concurrent: bool,
    first: Option<Arc<AtomicBool>>,
}

impl WorkerState for Life {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        let most = if self.concurrent { CONCURRENT } else { 1 };
        match () {
            () if self.isolate && total > 0 => ShouldAccept::Never,
            () if concurrent < most => ShouldAccept::Yes,
            () => ShouldAccept::No,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Host>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(pending())
    }

    fn drop(&self, store: Store<Host>, result: wasmtime::Result<()>) {
        if let Some(first) = &self.first {
            first.store(false, Ordering::Relaxed);
        }
        if let Err(error) = result {
            let text =
                trap::describe("an instance trapped", &error, store.data().limits.denied.as_ref());
            let _ = Output::Stderr.write_all(text.as_bytes());
        }
    }
}
