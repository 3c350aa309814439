//! Bodies of responses, between the guest that writes them and the connection.

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use wasmtime_wasi_http::{Error, WasiBody};

/// Whether the guest that writes a body has trapped.
#[derive(Debug, Clone, Default)]
pub(super) struct Trapped(Arc<AtomicBool>);

impl Trapped {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A response whose guest is still at work. Without this a body that a trap has cut short would look complete.
pub(super) fn watched(response: Response<WasiBody>, trapped: Trapped) -> Response<WasiBody> {
    response.map(|body| Watched { body, trapped }.boxed_unsync())
}

struct Watched {
    body: WasiBody,
    trapped: Trapped,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) if self.trapped.0.load(Ordering::Relaxed) => {
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
pub(super) fn complete(response: Response<WasiBody>) -> Response<WasiBody> {
    response.map(|mut body| {
        let mut frames = VecDeque::new();
        let mut length = Some(0);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(frame)) => {
                    // trailers need chunks, and an error an end that shows
                    let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
                    length = length.zip(data).map(|(length, data)| length + data.len() as u64);
                    frames.push_back(frame);
                }
                Poll::Ready(None) => return Complete { frames, length, rest: None }.boxed_unsync(),
                // the guest has kept its end: whoever holds that may write more
                Poll::Pending => {
                    let rest = Some(body);
                    return Complete { frames, length: None, rest }.boxed_unsync();
                }
            }
        }
    })
}

struct Complete {
    frames: VecDeque<Result<Frame<Bytes>, Error>>,
    /// Bytes that are left, where all that is left is data.
    length: Option<u64>,
    rest: Option<WasiBody>,
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
