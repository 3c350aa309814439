//! Servers of WASI 0.3: an instance handles several requests at the same time, by wasmtime's own handler.

use super::super::host::Host;
use super::super::host::stdio::Output;
use super::super::{stop, trap};
use super::connection::Failure;
use super::request::Asked;
use super::reuse::has_grown;
use super::{Blueprint, IDLE};
use http::{Request, Response};
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut};
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
    blueprint: Arc<Blueprint>,
    handler: ProxyHandler<Instances>,
    /// Of instances that answer one request each.
    fresh: ProxyHandler<Instances>,
    /// Requests in progress; the rest waits.
    permits: Semaphore,
    /// Told when one of them has been answered.
    answered: Notify,
}

impl Server {
    pub fn new(blueprint: Arc<Blueprint>, pre: ServicePre<Host>) -> Self {
        let each = (0..CONCURRENT as u32).take_while(|n| blueprint.reuse.allows(*n)).count();
        let permits = Semaphore::new(blueprint.share * each);
        let handler = |fresh: bool| {
            let (blueprint, pre) = (blueprint.clone(), pre.clone());
            ProxyHandler::new(Instances { blueprint, pre, fresh, has_first: Arc::default() })
        };
        let (handler, fresh) = (handler(false), handler(true));
        Self { blueprint, handler, fresh, permits, answered: Notify::new() }
    }

    /// Has one request answered.
    pub async fn handle(&self, asked: Asked) -> Result<Response<WasiBody>, Failure> {
        let _permit = self.permits.acquire().await;
        let turn = Arc::new(Turn::default());
        let result = match asked.is_safe() {
            false => self.call(&self.handler, asked.once(), &turn).await,
            true => match self.call(&self.handler, asked.first(), &turn).await {
                // it may have been another request of the same instance
                Err(Failure::Trapped) if turn.had_company() => match asked.again() {
                    Some(request) => self.call(&self.fresh, request, &Arc::default()).await,
                    None => Err(Failure::Trapped),
                },
                result => result,
            },
        };
        if turn.trapped.load(Ordering::Relaxed) {
            self.blueprint.reuse.doubt(turn.earlier());
        } else if result.is_ok() {
            self.blueprint.reuse.proves(turn.earlier() + 1);
        }
        self.answered.notify_one();
        result
    }

    async fn call(
        &self,
        handler: &ProxyHandler<Instances>,
        mut request: Request<WasiBody>,
        turn: &Arc<Turn>,
    ) -> Result<Response<WasiBody>, Failure> {
        let mut alone = false;
        loop {
            let mut freed = std::pin::pin!(self.blueprint.account.freed());
            freed.as_mut().enable();
            let error = match handler.handle(turn.clone(), request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match error.downcast::<InstantiationError<Arc<Turn>>>() {
                Ok(failed) => {
                    let room = self.blueprint.wait_for_room(freed, &mut alone);
                    let has_room = failed.error.is::<NoRoom>()
                        // it may get a part of an instance that computes just now, or one of its own
                        && tokio::select! {
                            () = self.answered.notified() => true,
                            has_room = room => has_room,
                        };
                    if !has_room {
                        let reason = trap::reason(&failed.error);
                        return Err(Failure::Instance(wasmtime::Error::msg(reason)));
                    }
                    request = failed.request.into_inner().unwrap_or_else(PoisonError::into_inner);
                }
                Err(error) if error.is::<TrapOrPanicError>() => {
                    turn.trapped.store(true, Ordering::Relaxed);
                    return Err(Failure::Trapped);
                }
                Err(error) => {
                    return Err(match error.downcast::<ErrorCode>() {
                        Ok(code) => Failure::Answered(format!("{code:?}")),
                        Err(error) => Failure::Other(error),
                    });
                }
            }
        }
    }
}

/// A request's place among those of its instance.
#[derive(Default)]
struct Turn {
    /// How many came before it, and how many there have been by now.
    place: OnceLock<(u32, Arc<AtomicU32>)>,
    trapped: AtomicBool,
}

impl Turn {
    fn earlier(&self) -> u32 {
        self.place.get().map_or(0, |(earlier, _)| *earlier)
    }

    /// Whether the instance has met other requests.
    fn had_company(&self) -> bool {
        self.place.get().is_some_and(|(_, all)| all.load(Ordering::Relaxed) > 1)
    }
}

/// An instance could not be made just now.
#[derive(Debug)]
struct NoRoom(String);

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRoom {}

/// One thread's instances.
struct Instances {
    blueprint: Arc<Blueprint>,
    pre: ServicePre<Host>,
    /// For one request each.
    fresh: bool,
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
        let proxy = match self.pre.instantiate_async(&mut store).await {
            Ok(proxy) => Proxy::P3(proxy),
            Err(error) => {
                return Err(match blueprint.lacks_room(store, &error) {
                    true => NoRoom(trap::reason(&error)).into(),
                    false => error,
                });
            }
        };
        let first = !self.fresh && !self.has_first.swap(true, Ordering::Relaxed);
        let held = store.data().limits.held();
        let spare = blueprint.spare.clone();
        Ok(Instance {
            store,
            proxy,
            view: Host::http,
            expiration: Expiration {
                stays: first,
                sleep: None,
                wanted: Box::pin(async move { spare.wanted().await }),
            },
            state: Life {
                blueprint: self.blueprint.clone(),
                fresh: self.fresh,
                first: first.then(|| self.has_first.clone()),
                met: Arc::default(),
                held,
                usual: AtomicU64::new(0),
            },
        })
    }
}

/// When an instance without work is dropped.
struct Expiration {
    stays: bool,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Somebody lacks room.
    wanted: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        if self.wanted.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.stays {
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
    blueprint: Arc<Blueprint>,
    fresh: bool,
    first: Option<Arc<AtomicBool>>,
    /// Requests that it has met.
    met: Arc<AtomicU32>,
    /// Bytes that it holds, and held when it first had no work; 0 before.
    held: Arc<AtomicU64>,
    usual: AtomicU64,
}

impl Life {
    fn has_grown(&self, concurrent: usize, total: usize) -> bool {
        let held = self.held.load(Ordering::Relaxed);
        if concurrent == 0 && total > 0 {
            let _ = self.usual.compare_exchange(0, held, Ordering::Relaxed, Ordering::Relaxed);
        }
        match self.usual.load(Ordering::Relaxed) {
            0 => false,
            usual => has_grown(usual, held),
        }
    }
}

impl WorkerState for Life {
    type StoreData = Host;
    type RequestData = Arc<Turn>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        let met = u32::try_from(total).unwrap_or(u32::MAX);
        match () {
            () if self.fresh && met > 0 => ShouldAccept::Never,
            () if !self.blueprint.reuse.allows(met) => ShouldAccept::Never,
            () if self.has_grown(concurrent, total) => ShouldAccept::Never,
            () if concurrent < CONCURRENT => ShouldAccept::Yes,
            () => ShouldAccept::No,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Host>,
        turn: Arc<Turn>,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        let earlier = self.met.fetch_add(1, Ordering::Relaxed);
        let _ = turn.place.set((earlier, self.met.clone()));
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
