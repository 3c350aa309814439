//! One connection: requests in, responses out, failures told to both sides.

use super::super::host::stdio::Output;
use super::super::trap;
use super::instances::Instances;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{InstantiationError, ProxyHandler, TrapOrPanicError};
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p3::bindings::http::types as p3;

/// All connections of the server: told to finish, and waited for.
#[derive(Clone)]
pub(super) struct Connections {
    finish: Arc<watch::Sender<bool>>,
    alive: mpsc::WeakSender<Infallible>,
    all: Arc<Mutex<Option<Gate>>>,
}

/// Whose receiver ends when the last sender is gone.
type Gate = (mpsc::Sender<Infallible>, mpsc::Receiver<Infallible>);

/// What a connection holds while it lives.
pub(super) struct Place {
    finish: watch::Receiver<bool>,
    _alive: Option<mpsc::Sender<Infallible>>,
}

impl Connections {
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self {
            finish: Arc::new(watch::Sender::new(false)),
            alive: sender.downgrade(),
            all: Arc::new(Mutex::new(Some((sender, receiver)))),
        }
    }

    pub fn enter(&self) -> Place {
        Place { finish: self.finish.subscribe(), _alive: self.alive.upgrade() }
    }

    /// Lets every connection finish the request it is serving, and returns when all are gone.
    pub async fn drain(&self) {
        self.finish.send_replace(true);
        let all = self.all.lock().ok().and_then(|mut all| all.take());
        if let Some((sender, mut receiver)) = all {
            drop(sender);
            receiver.recv().await;
        }
    }
}

/// What serves the requests of one thread.
pub(super) struct Service {
    handler: ProxyHandler<Instances>,
    /// Requests in progress; the rest waits here rather than ask for more instances than there can be.
    permits: Semaphore,
}

impl Service {
    pub fn new(instances: Instances) -> Self {
        let blueprint = &instances.blueprint;
        let each = if blueprint.concurrent && !blueprint.isolate { 16 } else { 1 };
        // one spare: an instance that is being replaced still has its slot
        let permits = (blueprint.share.saturating_sub(1).max(1) * each) as usize;
        Self { handler: ProxyHandler::new(instances), permits: Semaphore::new(permits) }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, service: Arc<Service>, mut place: Place) {
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).pipeline_flush(true);
    builder.http2().timer(TokioTimer::new());
    let respond = service_fn(|request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(respond(&service, request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), respond));
    // a peer that goes away in the middle is the peer's business
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = place.finish.wait_for(|finish| *finish) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond(service: &Service, mut request: Request<Incoming>) -> Response<WasiBody> {
    if complete(&mut request).is_none() {
        return plain(StatusCode::BAD_REQUEST, "the request names no host\n");
    }
    let Ok(_permit) = service.permits.acquire().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    };
    let what = format!("{} {}", request.method(), request.uri().path());
    let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
    match service.handler.handle((), request).await {
        Ok(response) => response,
        Err(error) => failure(&what, &error),
    }
}

/// Handlers expect scheme and authority, which a request on the wire has only in pieces.
fn complete(request: &mut Request<Incoming>) -> Option<()> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if parts.authority.is_none() {
        let host = match request.headers().get(header::HOST) {
            Some(host) => host.as_bytes(),
            None => b"localhost", // HTTP/1.0
        };
        parts.authority = Some(host.try_into().ok()?);
    }
    parts.scheme.get_or_insert(http::uri::Scheme::HTTP);
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some("/".parse().ok()?);
    }
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(())
}

/// What the client sees of a failure, and a line in the log.
fn failure(what: &str, error: &wasmtime::Error) -> Response<WasiBody> {
    let chosen = error.is::<p2::ErrorCode>() || error.is::<p3::ErrorCode>();
    let (status, text, log) = if error.is::<TrapOrPanicError>() {
        // the trap itself has been logged
        (StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n", String::new())
    } else if let Some(failed) = error.downcast_ref::<InstantiationError<()>>() {
        let log = trap::describe("no instance could be made", &failed.error, None);
        (StatusCode::SERVICE_UNAVAILABLE, "the server cannot start an instance\n", log)
    } else if chosen {
        let log = format!("error: {what}: the guest answered {}\n", trap::reason(error));
        (StatusCode::BAD_GATEWAY, "the server gave no response\n", log)
    } else {
        let log = format!("error: {what}: {}\n", trap::reason(error));
        (StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n", log)
    };
    let _ = Output::Stderr.write_all(log.as_bytes());
    plain(status, text)
}

fn plain(status: StatusCode, text: &'static str) -> Response<WasiBody> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
