//! Bytes on their way to a descriptor that may not take them at once.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// A write of at most this many bytes to a pipe that is ready for writing does not block (POSIX, `PIPE_BUF`).
const PIPE_BUF: usize = 4096;

/// How writing without blocking is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The descriptor is our own: `O_NONBLOCK`.
    NonBlocking,
    /// It is shared with other programs (a shell's terminal), whose `write` must not fail: ask first, write little.
    AskFirst,
    /// A regular file is always ready.
    Direct,
}

/// An output with what it has not taken yet.
#[derive(Debug)]
pub(super) struct Sink<Fd> {
    fd: Fd,
    way: Way,
    pending: Vec<u8>,
    /// The beginning of `pending` that is written already.
    written: usize,
}

impl<Fd: AsFd> Sink<Fd> {
    /// For a descriptor that no other process uses.
    pub fn own(fd: Fd) -> Result<Self, Errno> {
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Self { fd, way: Way::NonBlocking, pending: Vec::new(), written: 0 })
    }

    /// For a descriptor that was inherited.
    pub fn shared(fd: Fd) -> Self {
        let is_file = |fd: &Fd| {
            fstat(fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile)
        };
        let way = if is_file(&fd) { Way::Direct } else { Way::AskFirst };
        Self { fd, way, pending: Vec::new(), written: 0 }
    }

    pub fn into_inner(self) -> Fd {
        self.fd
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.pending.len() - self.written
    }

    /// Where more can be appended; call [`Self::flush`] afterwards.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Gives up what waits: nobody will take it any more.
    pub fn forget(&mut self) {
        self.pending.clear();
        self.written = 0;
    }

    /// Writes as much as goes without blocking.
    pub fn flush(&mut self) -> Result<(), Errno> {
        while self.written < self.pending.len() {
            let mut rest = &self.pending[self.written..];
            if self.way == Way::AskFirst {
                if !is_ready(self.fd.as_fd())? {
                    return Ok(());
                }
                rest = &rest[..rest.len().min(PIPE_BUF)];
            }
            match rustix::io::write(&self.fd, rest) {
                Ok(count) => self.written += count,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        self.pending.clear();
        self.written = 0;
        // a burst must not be paid for in memory forever
        self.pending.shrink_to(64 << 10);
        Ok(())
    }

    /// Writes all that waits, however long that takes.
    pub fn finish(&mut self) -> Result<(), Errno> {
        loop {
            self.flush()?;
            if self.is_empty() {
                return Ok(());
            }
            match poll(&mut [PollFd::new(&self.fd, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl<Fd: AsFd> AsFd for Sink<Fd> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_ready(fd: BorrowedFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    match poll(&mut fds, Some(&rustix::time::Timespec::default())) {
        // an error condition is reported by the write
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e),
    }
}
