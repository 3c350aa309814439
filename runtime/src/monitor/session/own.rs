//! The monitor's own standard streams, in the foreground.

use crate::monitor::error::Error;
use crate::monitor::log::Stream;
use crate::monitor::sink::Sink;
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

#[derive(Debug)]
pub(in crate::monitor) struct Own {
    pub stdin: Option<BorrowedFd<'static>>,
    pub stdout: Option<Sink<BorrowedFd<'static>>>,
    pub stderr: Option<Sink<BorrowedFd<'static>>>,
    /// The first output that could not be written, though somebody wants it.
    unwritten: Option<(Stream, Errno)>,
    /// How often somebody wanted an end.
    interrupts: u8,
}

impl Own {
    /// This process's; `feeds`: what it gets is for the guest.
    pub fn streams(feeds: bool) -> Self {
        Self {
            stdin: feeds.then(rustix::stdio::stdin),
            stdout: Some(Sink::shared(rustix::stdio::stdout())),
            stderr: Some(Sink::shared(rustix::stdio::stderr())),
            unwritten: None,
            interrupts: 0,
        }
    }

    fn output(&mut self, stream: Stream) -> &mut Option<Sink<BorrowedFd<'static>>> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    pub fn put(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(sink) = self.output(stream) {
            sink.buffer().extend_from_slice(bytes);
        }
    }

    /// Writes what goes without blocking; the streams that nobody reads any more. One that cannot be written (a full disk)
    /// gets no more either, but its guest is not told: what it says is still logged.
    pub fn flush(&mut self) -> Vec<Stream> {
        let mut unread = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let result = self.output(stream).as_mut().map_or(Ok(()), Sink::flush);
            if self.lost(stream, result) == Some(Errno::PIPE) {
                unread.push(stream);
            }
        }
        unread
    }

    /// Writes all that waits.
    pub fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let result = self.output(stream).as_mut().map_or(Ok(()), Sink::finish);
            self.lost(stream, result);
        }
    }

    fn lost(&mut self, stream: Stream, result: Result<(), Errno>) -> Option<Errno> {
        let error = result.err()?;
        *self.output(stream) = None;
        if error != Errno::PIPE {
            self.unwritten.get_or_insert((stream, error));
        }
        Some(error)
    }

    /// [`Error::Output`] if something was lost.
    pub fn written(&self) -> Result<(), Error> {
        self.unwritten.map_or(Ok(()), |(stream, error)| Err(Error::output(stream, error)))
    }

    /// One more signal that asks for an end; whether nobody is to wait for the guest's own any longer.
    pub fn interrupted(&mut self) -> bool {
        self.interrupts = self.interrupts.saturating_add(1);
        self.interrupts >= INTERRUPTS
    }
}

/// Docker's number of SIGINT or SIGTERM after which its command leaves, whatever the container does.
pub(in crate::monitor) const INTERRUPTS: u8 = 3;
