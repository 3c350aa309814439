//! A connection's bytes, with what hyper leaves to others: how it ends, and how an answer is broken off.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

/// How long a client that sends nothing is waited for at the end of a connection.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a client that goes on sending is listened to.
const LONGEST: Duration = Duration::from_secs(30);

/// What a connection and the bodies of its answers tell each other.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// How often everything that was to be written has been written.
    flushes: AtomicU64,
    waiting: Mutex<Option<Waker>>,
    /// The client may be sending what nobody will read.
    unread: AtomicBool,
}

impl Line {
    pub fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// Waits until everything has been written since `flushes`.
    pub fn poll_flushed(&self, flushes: u64, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flushes() > flushes {
            return Poll::Ready(());
        }
        *waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    fn flushed(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The stream as hyper sees it. Closing a socket while the client still sends makes the kernel reset the connection, and the
/// client may lose the answer that it has not read: this one ends its own side, and listens on for a while (RFC 9112, 9.6).
pub(super) struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
    /// The server is stopping: nobody is waited for without need.
    finish: watch::Receiver<bool>,
    /// The client has ended its side.
    ended: bool,
    linger: Option<Linger>,
}

struct Linger {
    since: Instant,
    silence: Pin<Box<Sleep>>,
}

impl Wire {
    pub fn new(stream: TcpStream, line: Arc<Line>, finish: watch::Receiver<bool>) -> Self {
        Self { stream, line, finish, ended: false, linger: None }
    }

    /// Reads and drops what comes until the client ends its side.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            since: Instant::now(),
            silence: Box::pin(sleep(SILENCE)),
        });
        let mut dropped = [0; 16 << 10];
        // now and then others get their turn
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut dropped);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return linger.silence.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let now = Instant::now();
                    if now > linger.since + LONGEST {
                        return Poll::Ready(());
                    }
                    linger.silence.as_mut().reset(now + SILENCE);
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.ended |= buffer.filled().len() == before && buffer.remaining() > 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when it has written everything.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let hurry = *this.finish.borrow() && !this.line.unread.load(Ordering::Relaxed);
        if !this.ended && !hurry {
            ready!(this.poll_ended(cx));
        }
        Poll::Ready(Ok(()))
    }
}
