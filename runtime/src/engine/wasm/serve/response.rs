//! Bodies of responses, between the guest that writes them and the connection.

use super::super::host::stdio::Output;
use super::wire::Line;
use bytes::Bytes;
use http::{Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Whether the guest has left a body that it was writing, by a trap for instance.
#[derive(Debug, Clone, Default)]
pub(super) struct Left(Arc<AtomicBool>);

impl Left {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A response whose guest is still at work. Without this a body that a trap has cut short would look complete.
pub(super) fn watched(response: Response<WasiBody>, left: Left) -> Response<WasiBody> {
    response.map(|body| Watched { body, left }.boxed_unsync())
}

struct Watched {
    body: WasiBody,
    left: Left,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) if self.left.is_set() => {
                Poll::Ready(Some(Err(Error::HttpProtocolError)))
            }
            other => other,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response whose guest has returned: what it wrote is there, so its length is known and need not be sent in chunks.
/// The body is not finished where the guest has kept its end, or let go of it too early.
pub(super) fn complete(response: Response<WasiBody>, left: &Left) -> (Response<WasiBody>, bool) {
    let (parts, mut body) = response.into_parts();
    let mut frames = VecDeque::new();
    let mut length = Some(0);
    let mut cx = Context::from_waker(Waker::noop());
    let (complete, finished) = loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => {
                // trailers need chunks, and an error an end that shows
                let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
                length = length.zip(data).map(|(length, data)| length + data.len() as u64);
                frames.push_back(frame);
            }
            Poll::Ready(None) => {
                let finished = frames.iter().all(Result::is_ok);
                break (Complete { frames, length, rest: None }, finished);
            }
            Poll::Pending => {
                let rest = Some(Watched { body, left: left.clone() });
                break (Complete { frames, length: None, rest }, false);
            }
        }
    };
    (Response::from_parts(parts, complete.boxed_unsync()), finished)
}

struct Complete {
    frames: VecDeque<Result<Frame<Bytes>, Error>>,
    /// Bytes that are left, where all that is left is data.
    length: Option<u64>,
    rest: Option<Watched>,
}

impl Body for Complete {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(frame) = self.frames.pop_front() else {
            return match &mut self.rest {
                Some(rest) => Pin::new(rest).poll_frame(cx),
                None => Poll::Ready(None),
            };
        };
        let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
        self.length = self.length.zip(data).map(|(length, data)| length - data.len() as u64);
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A response on HTTP/1, where a body can only be broken off by ending the connection. hyper does that without sending what
/// it has been given before; here the end comes when the client has that.
pub(super) fn on_http1(response: Response<WasiBody>, line: &Arc<Line>) -> Response<WasiBody> {
    // a body of known length and without errors needs none of this
    if response.body().size_hint().exact().is_some() && !declares_length(&response) {
        return response;
    }
    let declared = response.headers().get(header::CONTENT_LENGTH);
    let missing = declared.and_then(|value| value.to_str().ok()?.parse().ok());
    let line = line.clone();
    response.map(|body| Http1 { body, line, missing, broken: None }.boxed_unsync())
}

fn declares_length(response: &Response<WasiBody>) -> bool {
    response.headers().contains_key(header::CONTENT_LENGTH)
}

struct Http1 {
    body: WasiBody,
    line: Arc<Line>,
    /// Bytes that are yet to come by the guest's own word.
    missing: Option<u64>,
    /// The error that ends the body, and what had been written when it came.
    broken: Option<(u64, Error)>,
}

impl Body for Http1 {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.broken.is_none() {
            let error = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    this.missing = this.missing.map(|missing| missing.saturating_sub(length));
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => error,
                None => match this.missing {
                    Some(missing) if missing > 0 => Error::HttpProtocolError,
                    _ => return Poll::Ready(None),
                },
            };
            if let Some(missing) = this.missing.filter(|missing| *missing > 0) {
                let text =
                    format!("error: a response ends {missing} bytes short of its Content-Length\n");
                let _ = Output::Stderr.write_all(text.as_bytes());
            }
            this.broken = Some((this.line.flushes(), error));
        }
        if let Some((flushes, _)) = &this.broken {
            ready!(this.line.poll_flushed(*flushes, cx));
        }
        Poll::Ready(this.broken.take().map(|(_, error)| Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.missing.is_none_or(|m| m == 0) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
