//! Servers of WASI 0.3: an instance handles several requests at the same time, by wasmtime's own handler.

use super::super::host::Host;
use super::super::host::stdio::Output;
use super::super::{stop, trap};
use super::connection::Failure;
use super::{Blueprint, IDLE};
use http::{Request, Response};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, InstantiationError, Proxy, ProxyHandler, ShouldAccept,
    TrapOrPanicError, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// Requests that one instance handles at the same time.
const CONCURRENT: usize = 64;

/// What serves the requests of one thread.
pub(super) struct Server {
    handler: ProxyHandler<Instances>,
    /// Requests in progress; the rest waits.
    permits: Semaphore,
    /// Of these, how many some instance has.
    running: AtomicUsize,
    /// Told when one of them has been answered.
    answered: Notify,
}

impl Server {
    pub fn new(blueprint: Arc<Blueprint>, pre: ServicePre<Host>) -> Self {
        let each = if blueprint.isolate { 1 } else { CONCURRENT };
        let permits = Semaphore::new(blueprint.share * each);
        let handler = ProxyHandler::new(Instances { blueprint, pre, has_first: Arc::default() });
        Self { handler, permits, running: AtomicUsize::new(0), answered: Notify::new() }
    }

    /// Has one request answered.
    pub async fn handle(
        &self,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let permit = self.permits.acquire().await;
        let result = loop {
            self.running.fetch_add(1, Ordering::Relaxed);
            let handled = self.handler.handle((), request).await;
            let others = self.running.fetch_sub(1, Ordering::Relaxed) > 1;
            let error = match handled {
                Ok(response) => break Ok(response),
                Err(error) => error,
            };
            match error.downcast::<InstantiationError<()>>() {
                // every instance there can be computes just now, so this one was to get another
                Ok(failed) if others && failed.error.is::<PoolConcurrencyLimitError>() => {
                    request = failed.request.into_inner().unwrap_or_else(PoisonError::into_inner);
                    self.answered.notified().await;
                }
                Ok(failed) => {
                    break Err(Failure::Instance(wasmtime::Error::msg(trap::reason(
                        &failed.error,
                    ))));
                }
                Err(error) if error.is::<TrapOrPanicError>() => break Err(Failure::Trapped),
                Err(error) => {
                    break Err(match error.downcast::<ErrorCode>() {
                        Ok(code) => Failure::Answered(format!("{code:?}")),
                        Err(error) => Failure::Other(error),
                    });
                }
            }
        };
        drop(permit);
        self.answered.notify_one();
        result
    }
}

/// One thread's instances.
struct Instances {
    blueprint: Arc<Blueprint>,
    pre: ServicePre<Host>,
    /// Whether the thread has the instance that stays.
    has_first: Arc<AtomicBool>,
}

impl HandlerState for Instances {
    type StoreData = Host;
    type WorkerExpiration = Expiration;
    type WorkerState = Life;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, Expiration, Life>> {
        let blueprint = &self.blueprint;
        let mut store = blueprint.store()?;
        let proxy = Proxy::P3(self.pre.instantiate_async(&mut store).await?);
        let first = !self.has_first.swap(true, Ordering::Relaxed);
        Ok(Instance {
            store,
            proxy,
            view: Host::http,
            expiration: Expiration { stays: first && !blueprint.isolate, sleep: None },
            state: Life {
                isolate: blueprint.isolate,
                first: first.then(|| self.has_first.clone()),
            },
        })
    }
}

/// When an instance without work is dropped.
struct Expiration {
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
struct Life {
    isolate: bool,
    first: Option<Arc<AtomicBool>>,
}

impl WorkerState for Life {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        match () {
            () if self.isolate && total > 0 => ShouldAccept::Never,
            () if concurrent < CONCURRENT => ShouldAccept::Yes,
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
        // those that the server no longer waits for at its end are not worth a word
        if let Err(error) = result
            && stop::received().is_none()
        {
            let text =
                trap::describe("an instance trapped", &error, store.data().limits.denied.as_ref());
            let _ = Output::Stderr.write_all(text.as_bytes());
        }
    }
}
