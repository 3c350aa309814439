//! A request between the connection, which sends its body, and the guest, which may read it, leave it or begin anew.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasmtime_wasi_http::{Error, WasiBody};

/// What is kept of a body for a second reader.
const KEPT: usize = 64 << 10;
/// What is read of a body that nobody wants, so that the connection can be used on.
const UNWANTED: u64 = 256 << 10;
/// How long that is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request that a guest is asked.
pub(super) struct Asked {
    parts: Parts,
    upload: Upload,
}

impl Asked {
    pub fn new(request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let continues = parts.version == Version::HTTP_11 && expects(&parts.headers);
        let upload = match body.is_end_stream() {
            true => Upload(None),
            false => Upload::new(body, continues),
        };
        Self { parts, upload }
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Doing it twice is the same as doing it once, by the meaning of its method (RFC 9110, 9.2.1).
    pub fn is_safe(&self) -> bool {
        self.parts.method.is_safe()
    }

    pub fn upload(&self) -> Upload {
        self.upload.clone()
    }

    /// For the only reader.
    pub fn once(self) -> Request<WasiBody> {
        Request::from_parts(self.parts, self.upload.reader())
    }

    /// For a reader after whom there may be another one.
    pub fn first(&self) -> Request<WasiBody> {
        if let Some(upload) = &self.upload.0 {
            lock(upload).kept = Some(Vec::new());
        }
        Request::from_parts(self.parts.clone(), self.upload.reader())
    }

    /// For another reader, if the body is still there from its beginning.
    pub fn again(self) -> Option<Request<WasiBody>> {
        self.upload.is_whole().then(|| self.once())
    }
}

fn expects(headers: &HeaderMap) -> bool {
    let expect = headers.get(header::EXPECT).map(HeaderValue::as_bytes);
    expect.is_some_and(|expect| expect.eq_ignore_ascii_case(b"100-continue"))
}

/// A request's body, seen from the connection; `None` if there is none.
#[derive(Clone)]
pub(super) struct Upload(Option<Arc<Mutex<State>>>);

struct State {
    /// `None` at its end.
    body: Option<Incoming>,
    /// Frames that have been read, while all of them are kept for another reader.
    kept: Option<Vec<Frame<Bytes>>>,
    /// Read by nobody yet.
    ahead: Option<Frame<Bytes>>,
    readers: usize,
    /// The client waits until it is told to go on, which hyper does when somebody asks for the body.
    expects: bool,
    asked: bool,
    begun: bool,
    /// Nobody wants it, and how long it is, is not known.
    left: Option<Incoming>,
    /// Nobody wants it, and it is long.
    closes: bool,
    /// The reader's.
    waker: Option<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upload {
    fn new(body: Incoming, expects: bool) -> Self {
        Self(Some(Arc::new(Mutex::new(State {
            body: Some(body),
            kept: None,
            ahead: None,
            readers: 0,
            expects,
            asked: false,
            begun: false,
            left: None,
            closes: false,
            waker: None,
        }))))
    }

    fn reader(&self) -> WasiBody {
        match &self.0 {
            None => http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync(),
            Some(state) => {
                lock(state).readers += 1;
                Reader { state: state.clone(), next: 0 }.boxed_unsync()
            }
        }
    }

    /// Whether all of it can be read from the beginning.
    fn is_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|state| lock(state).kept.is_some())
    }

    /// Nobody will read it any more, whoever still holds it.
    pub fn abandon(&self) {
        let Some(state) = &self.0 else { return };
        let mut state = lock(state);
        state.leave();
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// There is an answer: no other reader will come.
    pub fn settle(&self) {
        let Some(state) = &self.0 else { return };
        let mut state = lock(state);
        state.kept = None;
        if state.readers == 0 {
            state.leave();
        }
    }

    /// Whether the connection ends with this request: more of it may come than is worth reading.
    pub async fn closes(&self) -> bool {
        let Some(state) = &self.0 else { return false };
        let Some(mut body) = lock(state).left.take() else { return lock(state).closes };
        let mut end = pin!(async { while let Some(Ok(_)) = body.frame().await {} });
        // nearly always its end is here already, and hyper has to be asked for it
        for _ in 0..2 {
            if poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx).is_ready())).await {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// Tells a client that waits for this to send the body. Until hyper has written it, the answer has to wait.
    pub fn invite(&self) -> bool {
        let Some(state) = &self.0 else { return false };
        let mut state = lock(state);
        let waits = state.expects && !state.begun && state.body.is_some();
        if waits && !std::mem::replace(&mut state.asked, true) {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Some(Ok(frame))) = state.pull(&mut cx) {
                state.ahead = Some(frame);
            }
        }
        waits
    }
}

impl State {
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(&mut *body).poll_frame(cx));
        if frame.as_ref().is_none_or(Result::is_err) || body.is_end_stream() {
            self.body = None;
        }
        self.begun = true;
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn read(
        &mut self,
        next: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(frame) = self.kept.as_ref().and_then(|kept| kept.get(*next)) {
            *next += 1;
            return Poll::Ready(Some(Ok(copy(frame))));
        }
        self.asked = true;
        let frame = match self.ahead.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.pull(cx),
        };
        match &frame {
            Poll::Pending => self.waker = Some(cx.waker().clone()),
            Poll::Ready(Some(Ok(frame))) => self.keep(frame),
            Poll::Ready(Some(Err(_))) => self.kept = None,
            Poll::Ready(None) => {}
        }
        *next += 1;
        frame
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let length = |frame: &Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
        if let Some(kept) = &mut self.kept {
            kept.push(copy(frame));
            if kept.iter().map(length).sum::<usize>() > KEPT {
                self.kept = None;
            }
        }
    }

    /// Nobody wants what is left. A little of it is read for the sake of the connection; otherwise hyper closes that when
    /// it has written the answer.
    fn leave(&mut self) {
        let Some(body) = self.body.take() else { return };
        match (body.size_hint().exact(), tokio::runtime::Handle::try_current()) {
            // a client that waits is not told to go on
            _ if self.expects && !self.asked => self.closes = true,
            (None, _) => self.left = Some(body),
            (Some(length), Ok(runtime)) if length <= UNWANTED => {
                runtime.spawn(discard(body));
            }
            _ => self.closes = true,
        }
    }
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, trailers) => Frame::trailers(trailers.cloned().unwrap_or_default()),
    }
}

/// Reads what the client sends anyway, for a while.
async fn discard(mut body: Incoming) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(PATIENCE, read).await;
}

/// The body as a guest reads it.
struct Reader {
    state: Arc<Mutex<State>>,
    /// Frames it has had.
    next: usize,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        lock(&this.state).read(&mut this.next, cx)
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        let kept = state.kept.as_ref().map_or(0, Vec::len);
        state.body.is_none() && state.ahead.is_none() && self.next >= kept
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.state);
        match &state.body {
            Some(body) if state.ahead.is_none() && self.next == 0 => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.readers -= 1;
        // the next reader's, if the first one failed
        if state.kept.is_none() && state.readers == 0 {
            state.leave();
        }
    }
}
