//! Requests that the guest sends (`wasi:http/outgoing-handler`, `wasi:http/client`).
//!
//! wasmtime's own way resolves names by libc and trusts only built-in roots; this one uses the container's names and
//! also trusts what the container's own certificate bundle holds.

mod connect;
mod tls;

use super::super::guest::View;
use super::names::Names;
use super::sockets::Place;
use bytes::Bytes;
use connect::Stream;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use knarr_core::spec::NetworkMode;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Where the guest sets no limit (as wasmtime has it).
const PATIENCE: Duration = Duration::from_secs(600);

/// Sends requests as the container's network allows.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Requests {
    allowed: bool,
    names: Arc<Names>,
    place: Arc<Place>,
}

impl Requests {
    pub fn new(view: &View) -> Self {
        Self {
            allowed: view.network != NetworkMode::None,
            names: view.names.clone(),
            place: view.place.clone(),
        }
    }
}

/// What is left of an exchange when the head of the response is there.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), Error>> + Send> {
        let (allowed, names, place) = (self.allowed, self.names.clone(), self.place.clone());
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            send(request, options, &names, &place).await
        })
    }
}

async fn send(
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
    names: &Names,
    place: &Place,
) -> Result<(Response<WasiBody>, Rest), Error> {
    let limit = |pick: fn(&RequestOptions) -> Option<Duration>| {
        options.as_ref().and_then(pick).unwrap_or(PATIENCE)
    };
    let stream = timeout(limit(|o| o.connect_timeout), connect(request.uri(), names, place))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // on the wire the request names the path only; its Host header says the rest
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut connection = Box::pin(connection);
    let response = {
        let response = pin!(timeout(limit(|o| o.first_byte_timeout), sender.send_request(request)));
        let mut response = response;
        // the connection moves only while it is polled
        std::future::poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            match (response.as_mut().poll(cx), ended) {
                (Poll::Ready(response), _) => Poll::Ready(Ok(response)),
                (Poll::Pending, Poll::Ready(Err(e))) => Poll::Ready(Err(Error::from(e))),
                (Poll::Pending, _) => Poll::Pending,
            }
        })
        .await?
        .map_err(|_| Error::ConnectionReadTimeout)??
    };
    let quiet = limit(|o| o.between_bytes_timeout);
    let response = response.map(|body| {
        let mut silence = interval(quiet);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        silence.reset();
        Patient { body, silence }.boxed_unsync()
    });
    // `sender` must live until the response has been read
    let rest = async move {
        let _sender = sender;
        connection.await.map_err(Error::from)
    };
    Ok((response, Box::new(rest)))
}

async fn connect(uri: &Uri, names: &Names, place: &Place) -> Result<Box<dyn Stream>, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
    let port = authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let stream = connect::connect(names, place, authority.host(), port).await?;
    if encrypted { tls::secure(stream, authority.host()).await } else { Ok(Box::new(stream)) }
}

/// A body that fails when nothing comes for too long.
struct Patient {
    body: Incoming,
    silence: Interval,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence.reset();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(e.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(self.silence.poll_tick(cx));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
