//! Servers of WASI 0.2: an instance handles one request at a time, and the next one after that.
//!
//! wasmtime's own handler can do this too, by way of queues and tasks that only concurrent instances need. Here a request
//! takes an idle instance of its thread, or makes one, and calls it where it stands.

use super::super::host::Host;
use super::super::host::stdio::Output;
use super::super::trap;
use super::connection::{Connections, Failure};
use super::response::{self, Trapped};
use super::{Blueprint, IDLE};
use http::{Request, Response};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// The instances of one thread.
pub(super) struct Instances {
    blueprint: Arc<Blueprint>,
    pre: ProxyPre<Host>,
    home: Arc<Home>,
    connections: Connections,
    /// Requests in progress; the rest waits rather than ask for more instances than there can be.
    permits: Arc<Semaphore>,
}

type Outcome = Result<Response<WasiBody>, ErrorCode>;

impl Instances {
    pub fn new(blueprint: Arc<Blueprint>, pre: ProxyPre<Host>, connections: Connections) -> Self {
        let home = Home {
            idle: Mutex::default(),
            swept: AtomicBool::new(false),
            isolate: blueprint.isolate,
        };
        let permits = Arc::new(Semaphore::new(blueprint.share));
        Self { blueprint, pre, home: Arc::new(home), connections, permits }
    }

    /// Has one request answered.
    pub async fn handle(&self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Failure> {
        let permit = self.permit().await;
        let (store, proxy) = match self.home.take() {
            Some(instance) => instance,
            None => self.make().await.map_err(Failure::Instance)?,
        };
        let with_length = request.method() != http::Method::HEAD;
        let (sender, mut receiver) = oneshot::channel();
        let call = run(store, proxy, request, sender, self.home.clone(), permit);
        let mut call = Call { running: Some(Box::pin(call)), connections: &self.connections };
        // the guest first: most have answered completely when their call returns, and then all can be sent at once
        let first = poll_fn(|cx| match call.poll(cx) {
            Poll::Ready(end) => Poll::Ready(First::Ended(end)),
            Poll::Pending => Pin::new(&mut receiver).poll(cx).map(|a| First::Answered(a.ok())),
        })
        .await;
        match first {
            First::Ended(End::Trapped) => Err(Failure::Trapped),
            First::Ended(End::Returned) => match receiver.try_recv() {
                Ok(Ok(response)) if with_length => Ok(response::complete(response)),
                Ok(outcome) => outcome.map_err(answered),
                Err(_) => Err(Failure::Silent),
            },
            First::Answered(Some(Ok(response))) => {
                let trapped = call.detach();
                Ok(response::watched(response, trapped))
            }
            First::Answered(Some(Err(code))) => Err(answered(code)),
            First::Answered(None) => Err(Failure::Silent),
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.permits.clone().acquire_owned().await.ok(),
        }
    }

    async fn make(&self) -> wasmtime::Result<(Store<Host>, Proxy)> {
        let mut store = self.blueprint.store()?;
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok((store, proxy))
    }
}

fn answered(code: ErrorCode) -> Failure {
    Failure::Answered(format!("{code:?}"))
}

/// What came first.
enum First {
    Ended(End),
    /// `None`: the guest can no longer answer.
    Answered(Option<Outcome>),
}

/// How a guest's call ended.
enum End {
    Returned,
    Trapped,
}

/// The guest's part of a request, to its end.
async fn run(
    mut store: Store<Host>,
    proxy: Proxy,
    request: Request<WasiBody>,
    answer: oneshot::Sender<Outcome>,
    home: Arc<Home>,
    permit: Option<OwnedSemaphorePermit>,
) -> End {
    store.data_mut().limits.denied = None;
    store.set_epoch_deadline(1);
    let call = async {
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let answer = http.new_response_outparam(answer)?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await
    };
    let end = match call.await {
        Ok(()) => {
            home.put(store, proxy);
            End::Returned
        }
        Err(error) => {
            let denied = store.data().limits.denied;
            let text = trap::describe("an instance trapped", &error, denied.as_ref());
            let _ = Output::Stderr.write_all(text.as_bytes());
            drop(store);
            End::Trapped
        }
    };
    // only now is there room for another instance
    drop(permit);
    end
}

/// A guest's call under way. When nobody waits for it any more (its answer has been taken and the body is still being
/// written, or the client has gone), it goes on by itself: an instance is not torn down in the middle.
struct Call<'a, F: Future<Output = End> + Send + 'static> {
    running: Option<Pin<Box<F>>>,
    connections: &'a Connections,
}

impl<F: Future<Output = End> + Send + 'static> Call<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        let ended = running.as_mut().poll(cx);
        if ended.is_ready() {
            self.running = None;
        }
        ended
    }

    /// Lets the call go on by itself; a stopping server waits for it.
    fn detach(&mut self) -> Trapped {
        let trapped = Trapped::default();
        if let Some(running) = self.running.take() {
            let (place, told) = (self.connections.enter(), trapped.clone());
            tokio::spawn(async move {
                if let End::Trapped = running.await {
                    told.set();
                }
                drop(place);
            });
        }
        trapped
    }
}

impl<F: Future<Output = End> + Send + 'static> Drop for Call<'_, F> {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.detach();
        }
    }
}

/// An instance between two requests.
struct Idle {
    store: Store<Host>,
    proxy: Proxy,
    since: Instant,
}

/// Where a thread's instances wait.
struct Home {
    /// The one used last is used next: the others grow old at the start.
    idle: Mutex<Vec<Idle>>,
    /// Somebody is going to drop the old ones.
    swept: AtomicBool,
    isolate: bool,
}

impl Home {
    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<(Store<Host>, Proxy)> {
        self.lock().pop().map(|Idle { store, proxy, .. }| (store, proxy))
    }

    fn put(self: &Arc<Self>, store: Store<Host>, proxy: Proxy) {
        if self.isolate {
            return;
        }
        let several = {
            let mut idle = self.lock();
            idle.push(Idle { store, proxy, since: Instant::now() });
            idle.len() > 1
        };
        if several && !self.swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Drops instances that a burst has left behind; the last one stays.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(IDLE).await;
            let mut idle = self.lock();
            let spare = idle.len().saturating_sub(1);
            let old = idle.iter().take(spare).take_while(|i| i.since.elapsed() >= IDLE).count();
            let old: Vec<Idle> = idle.drain(..old).collect();
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
