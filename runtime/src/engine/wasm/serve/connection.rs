//! One connection: requests in, responses out, failures told to both sides.

use super::super::host::stdio::Output;
use super::super::trap;
use super::linger::Linger;
use super::request::Asked;
use super::wire::{Line, Wire};
use super::{Blueprint, Pre, concurrent, exclusive, response};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use wasmtime_wasi_http::WasiBody;

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
    guests: Guests,
    linger: Arc<Linger>,
}

enum Guests {
    Exclusive(exclusive::Instances),
    Concurrent(concurrent::Server),
}

impl Service {
    pub fn new(
        blueprint: Arc<Blueprint>,
        pre: Pre,
        connections: Connections,
        linger: Arc<Linger>,
    ) -> Self {
        let guests = match pre {
            Pre::Exclusive(pre) => {
                Guests::Exclusive(exclusive::Instances::new(blueprint, pre, connections))
            }
            Pre::Concurrent(pre) => Guests::Concurrent(concurrent::Server::new(blueprint, pre)),
        };
        Self { guests, linger }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, service: Arc<Service>, mut place: Place) {
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // one buffer for head and body of small answers; a client that has said all may still listen
    builder.http1().timer(TokioTimer::new()).writev(false).half_close(true);
    builder.http2().timer(TokioTimer::new());
    let line = Arc::new(Line::default());
    let wire = Wire::new(stream, line.clone(), place.finish.clone());
    let respond = service_fn(|request| {
        let (service, line) = (service.clone(), line.clone());
        async move { Ok::<_, Infallible>(respond(&service, request, &line).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), respond));
    // a peer that goes away in the middle is the peer's business
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = place.finish.wait_for(|finish| *finish) => {}
    }
    // a request that has arrived on a new connection is seen when the event loop has turned
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = tokio::task::yield_now() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond(
    service: &Service,
    mut request: Request<Incoming>,
    line: &Arc<Line>,
) -> Response<WasiBody> {
    let http1 = request.version() < Version::HTTP_2;
    let named = complete(&mut request);
    let asked = Asked::new(request);
    let upload = asked.upload();
    let response = match named {
        Some(()) => Some(answer(service, asked).await),
        None => None,
    };
    let mut response = match response {
        Some(response) => response,
        None => plain(StatusCode::BAD_REQUEST, "the request does not name one host\n"),
    };
    upload.settle();
    if !http1 {
        return response;
    }
    if upload.invite() {
        // hyper writes "100 Continue" when it is asked for the body the next time, which must come before the answer
        tokio::task::yield_now().await;
    }
    // who is not understood in this is not listened to further
    if upload.closes().await || named.is_none() {
        line.leaves_unread();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response::on_http1(response, line)
}

async fn answer(service: &Service, asked: Asked) -> Response<WasiBody> {
    // for the log, should it be needed
    let (method, uri) = (asked.parts().method.clone(), asked.parts().uri.clone());
    let upload = asked.upload();
    let response = match &service.guests {
        Guests::Exclusive(instances) => instances.handle(asked).await,
        Guests::Concurrent(server) => server.handle(asked).await,
    };
    service.linger.answered();
    response.unwrap_or_else(|failure| {
        upload.abandon();
        failed(&format!("{method} {}", uri.path()), failure)
    })
}

/// Handlers expect scheme and authority, which a request on the wire has only in pieces. `None` where it does not say which
/// host it is for (RFC 9112, 3.2).
fn complete(request: &mut Request<Incoming>) -> Option<()> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() || first.is_none() && request.version() == Version::HTTP_11 {
        return None;
    }
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

/// Why there is no response.
pub(super) enum Failure {
    /// No instance could be made.
    Instance(wasmtime::Error),
    /// The guest chose an error as its answer.
    Answered(String),
    /// The guest returned without an answer.
    Silent,
    /// It trapped; the log says how.
    Trapped,
    /// Anything else.
    Other(wasmtime::Error),
}

/// What the client sees of a failure, and a line in the log.
fn failed(what: &str, failure: Failure) -> Response<WasiBody> {
    let (status, text, line) = match failure {
        Failure::Instance(error) => {
            log(&trap::describe("no instance could be made", &error, None));
            let text = "the server cannot start an instance\n";
            return plain(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        Failure::Answered(code) => (
            StatusCode::BAD_GATEWAY,
            "the server gave no response\n",
            format!("the guest answered {code}"),
        ),
        Failure::Silent => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server gave no response\n",
            "the guest gave no response".into(),
        ),
        Failure::Trapped => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n", "the guest trapped".into())
        }
        Failure::Other(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n", trap::reason(&error))
        }
    };
    log(&format!("error: {what}: {line}\n"));
    plain(status, text)
}

fn log(text: &str) {
    let _ = Output::Stderr.write_all(text.as_bytes());
}

fn plain(status: StatusCode, text: &'static str) -> Response<WasiBody> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
