//! The standard streams, passed through: the guest's bytes go to descriptors 0 to 2 and nowhere else in between.
//!
//! The process runs one guest, so writing may block it: that is the back-pressure a native program would feel.
//! Reading waits in the event loop, since a component may wait for input and a timer at once.

use super::super::stop;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// At most this is read at once, as wasmtime-wasi does.
const CHUNK: usize = 64 << 10;

/// Standard input.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::wasm) struct Input;

/// Standard output or error.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::wasm) enum Output {
    Stdout,
    Stderr,
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(rustix::stdio::stdin())
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Reader { pending: None })
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(*self)
    }
}

/// Standard input in the event loop; `None` where it cannot wait: regular files and `/dev/null` are always ready.
fn watched() -> Option<&'static Arc<AsyncFd<BorrowedFd<'static>>>> {
    static WATCHED: OnceLock<Option<Arc<AsyncFd<BorrowedFd<'static>>>>> = OnceLock::new();
    WATCHED
        .get_or_init(|| {
            // SAFETY: descriptor 0 stays open until the process ends.
            let watched = unsafe {
                AsyncFd::register_with_interest(rustix::stdio::stdin(), Interest::READABLE)
            };
            watched.ok().map(Arc::new)
        })
        .as_ref()
}

/// Whether a read would return at once (with data, at the end, or with an error).
fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)), Ok(0))
}

async fn readable() {
    let Some(watched) = watched() else { return };
    while !is_ready(watched.get_ref().as_fd()) {
        match watched.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => return,
        }
    }
}

fn read(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
            Err(Errno::INTR) if stop::received().is_none() => {}
            // the master of a terminal is gone: the end, as programs expect it
            Err(Errno::IO) => return Ok(0),
            result => return Ok(result?),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        readable().await;
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 || !is_ready(rustix::stdio::stdin()) {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; size.min(CHUNK)];
        match read(&mut buffer) {
            Ok(0) => Err(StreamError::Closed),
            Ok(n) => {
                buffer.truncate(n);
                Ok(buffer.into())
            }
            Err(e) => Err(StreamError::LastOperationFailed(e.into())),
        }
    }
}

/// Standard input for WASI 0.3.
struct Reader {
    pending: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wait = self.pending.get_or_insert_with(|| Box::pin(readable()));
        std::task::ready!(wait.as_mut().poll(cx));
        self.pending = None;
        let n = read(buffer.initialize_unfilled())?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl Output {
    fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }

    /// Writes everything; waits where the other side is slow, unless the guest is to stop.
    pub fn write_all(self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(self.descriptor(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::INTR) if stop::received().is_none() => {}
                Err(Errno::AGAIN) => {
                    // somebody made the descriptor non-blocking
                    let _ = poll(&mut [PollFd::new(&self.descriptor(), PollFlags::OUT)], None);
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(self.descriptor())
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(*self)
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(*self)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_all(&bytes).map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => StreamError::Closed,
            _ => StreamError::LastOperationFailed(e.into()),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_all(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
