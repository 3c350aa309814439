//! Servers of WASI 0.2: an instance handles one request at a time, and the next one after that.
//!
//! wasmtime's own handler can do this too, by way of queues and tasks that only concurrent instances need. Here a request
//! takes an idle instance of its thread, or makes one, and calls it where it stands.

use super::super::host::Host;
use super::super::host::stdio::Output;
use super::super::trap;
use super::Blueprint;
use super::connection::{Connections, Failure};
use super::instance::{Home, Instance};
use super::request::{Asked, Upload};
use super::response::{self, Left};
use http::{Method, Request, Response};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// How long a guest that can no longer answer may take to tell why.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
        let permits = Arc::new(Semaphore::new(blueprint.share));
        let home = Home::new();
        blueprint.spare.add(&home);
        Self { blueprint, pre, home, connections, permits }
    }

    /// Has one request answered.
    pub async fn handle(&self, asked: Asked) -> Result<Response<WasiBody>, Failure> {
        let permit = self.permit().await;
        let reuse = &self.blueprint.reuse;
        let upload = asked.upload();
        let instance = self.make(false).await?;
        let answered = instance.answered;
        if answered == 0 {
            return self.call(instance, asked.once(), upload, permit).await;
        }
        let failure = match self.call(instance, asked.first(), upload.clone(), permit).await {
            Err(failure) => failure,
            response => return response,
        };
        // an instance that says nothing has most likely done nothing; one that trapped may have done the half of it
        let another = match failure {
            Failure::Silent => asked.again(),
            Failure::Trapped if asked.is_safe() => asked.again(),
            Failure::Trapped => None,
            _ => return Err(failure),
        };
        let Some(request) = another else {
            reuse.doubt(answered);
            return Err(failure);
        };
        let permit = self.permit().await;
        let response = self.call(self.make(true).await?, request, upload, permit).await;
        if response.is_ok() {
            reuse.learn(answered);
        }
        response
    }

    /// Has one request answered by this instance.
    async fn call(
        &self,
        instance: Instance,
        request: Request<WasiBody>,
        upload: Upload,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<WasiBody>, Failure> {
        let with_length = request.method() != Method::HEAD;
        let (sender, mut receiver) = oneshot::channel();
        let call = run(instance, request, sender);
        let (home, blueprint) = (self.home.clone(), self.blueprint.clone());
        let going = Going { home, blueprint, upload, _permit: permit };
        let mut call =
            Call { running: Some((Box::pin(call), going)), connections: &self.connections };
        // the guest first: most have answered completely when their call returns, and then all can be sent at once
        let first = poll_fn(|cx| match call.poll(cx) {
            Poll::Ready(end) => Poll::Ready(First::Ended(end)),
            Poll::Pending => Pin::new(&mut receiver).poll(cx).map(|a| First::Answered(a.ok())),
        })
        .await;
        match first {
            First::Ended((End::Trapped, _)) => Err(Failure::Trapped),
            First::Ended((End::Returned(instance), going)) => match receiver.try_recv() {
                Ok(Ok(response)) => {
                    going.upload.abandon();
                    let left = Left::default();
                    let (response, finished) = match with_length {
                        true => response::complete(response, &left),
                        false => (response, true),
                    };
                    match finished {
                        true => going.home.put(*instance, &going.blueprint),
                        // nobody can finish it any more
                        false => left.set(),
                    }
                    Ok(response)
                }
                Ok(Err(code)) => {
                    going.home.put(*instance, &going.blueprint);
                    Err(answered(code))
                }
                Err(_) => Err(Failure::Silent),
            },
            First::Answered(Some(Ok(response))) => {
                let left = call.detach();
                Ok(response::watched(response, left))
            }
            First::Answered(Some(Err(code))) => Err(answered(code)),
            First::Answered(None) => {
                let end = tokio::time::timeout(LAST_WORDS, poll_fn(|cx| call.poll(cx))).await;
                match end {
                    Ok((End::Trapped, _)) => Err(Failure::Trapped),
                    _ => Err(Failure::Silent),
                }
            }
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.permits.clone().acquire_owned().await.ok(),
        }
    }

    /// An instance that waits for work, unless it has to be a fresh one, or one that is made; where there is no room for it,
    /// when others have ended.
    async fn make(&self, fresh: bool) -> Result<Instance, Failure> {
        let mut alone = false;
        loop {
            if !fresh && let Some(instance) = self.home.take(&self.blueprint.reuse) {
                return Ok(instance);
            }
            let mut freed = std::pin::pin!(self.blueprint.account.freed());
            freed.as_mut().enable();
            let mut store = self.blueprint.store().map_err(Failure::Instance)?;
            let error = match self.pre.instantiate_async(&mut store).await {
                Ok(proxy) => return Ok(Instance::new(store, proxy)),
                Err(error) => error,
            };
            if !self.blueprint.lacks_room(store, &error)
                || !self.blueprint.wait_for_room(freed, &mut alone).await
            {
                return Err(Failure::Instance(error));
            }
        }
    }
}

fn answered(code: ErrorCode) -> Failure {
    Failure::Answered(format!("{code:?}"))
}

/// What came first.
enum First {
    Ended((End, Going)),
    /// `None`: the guest can no longer answer.
    Answered(Option<Outcome>),
}

/// How a guest's call ended.
enum End {
    Returned(Box<Instance>),
    Trapped,
}

/// The guest's part of a request, to its end.
async fn run(
    mut instance: Instance,
    request: Request<WasiBody>,
    answer: oneshot::Sender<Outcome>,
) -> End {
    let store = &mut instance.store;
    store.data_mut().limits.denied = None;
    store.set_epoch_deadline(1);
    let call = async {
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let answer = http.new_response_outparam(answer)?;
        let handler = instance.proxy.wasi_http_incoming_handler();
        handler.call_handle(&mut *store, request, answer).await
    };
    match call.await {
        Ok(()) => End::Returned(Box::new(instance)),
        Err(error) => {
            let denied = instance.store.data().limits.denied;
            let text = trap::describe("an instance trapped", &error, denied.as_ref());
            let _ = Output::Stderr.write_all(text.as_bytes());
            drop(instance);
            End::Trapped
        }
    }
}

/// What the end of a call has to do with.
struct Going {
    home: Arc<Home>,
    blueprint: Arc<Blueprint>,
    upload: Upload,
    /// There is room for another instance when this one waits again or is gone.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A guest's call under way. When nobody waits for it any more (its answer has been taken and the body is still being
/// written, or the client has gone), it goes on by itself: an instance is not torn down in the middle.
struct Call<'a, F: Future<Output = End> + Send + 'static> {
    running: Option<(Pin<Box<F>>, Going)>,
    connections: &'a Connections,
}

impl<F: Future<Output = End> + Send + 'static> Call<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(End, Going)> {
        let Some((running, _)) = &mut self.running else { return Poll::Pending };
        let end = std::task::ready!(running.as_mut().poll(cx));
        match self.running.take() {
            Some((_, going)) => Poll::Ready((end, going)),
            None => Poll::Pending,
        }
    }

    /// Lets the call go on by itself; a stopping server waits for it.
    fn detach(&mut self) -> Left {
        let left = Left::default();
        if let Some((running, going)) = self.running.take() {
            let (place, told) = (self.connections.enter(), left.clone());
            tokio::spawn(async move {
                match running.await {
                    End::Trapped => told.set(),
                    End::Returned(mut instance) => match instance.has_unfinished_body() {
                        // nobody can finish it any more
                        true => told.set(),
                        false => going.home.put(*instance, &going.blueprint),
                    },
                }
                going.upload.abandon();
                drop(place);
            });
        }
        left
    }
}

impl<F: Future<Output = End> + Send + 'static> Drop for Call<'_, F> {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.detach();
        }
    }
}
