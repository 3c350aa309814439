//! The side of a step that asks for it: in any thread of any process.

use super::request::{Ended, Report, Step, Stream};
use super::{Cancel, Error};
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

/// Runs a step; returns when everything that it started has ended.
///
/// What it writes goes to `output` as it comes, in the order of each stream; lines may be broken.
pub fn run(
    root: &Root,
    step: &Step,
    cancel: Option<&Cancel>,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Ended, Error> {
    if cancel.is_some_and(Cancel::is_cancelled) {
        return Err(Error::Cancelled);
    }
    let failed = |source| Error::Spawn { source };
    let (mut control, theirs) = UnixStream::pair().map_err(failed)?;
    let mut helper = Helper(spawn(root, theirs).map_err(failed)?);
    send(&mut control, step)?;
    let read = helper.follow(&control, cancel, output);
    let mut message = Vec::new();
    let read = read.and_then(|()| match control.read_to_end(&mut message) {
        // it ended before it read our wish that it end; what it had said has come
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        other => other.map(drop),
    });
    let status = helper.0.wait().map_err(failed)?;
    read.map_err(|e| Error::system("read what the step wrote", e))?;
    match serde_json::from_slice(&message) {
        Ok(Report::Ended(ended)) => Ok(ended),
        Ok(Report::Cancelled) => Err(Error::Cancelled),
        Ok(Report::Failed(failure)) => Err(failure.into()),
        Err(_) => Err(Error::Vanished {
            how: match status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => status.to_string(),
            },
        }),
    }
}

fn spawn(root: &Root, control: UnixStream) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    // `ps` shows a program by what it is called with
    command.arg0("knarr").args(["internal", "step"]).arg(root.data()).arg(root.run());
    command.stdin(OwnedFd::from(control)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear().current_dir("/");
    // where the way out of an ordinary user's networks is looked for
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.spawn()
}

/// The length, then the request: its end must not be the end of the stream, which means that we are gone.
fn send(control: &mut UnixStream, step: &Step) -> Result<(), Error> {
    let bytes = serde_json::to_vec(step).map_err(|source| Error::Nonsense { source })?;
    let length = u32::try_from(bytes.len())
        .map_err(|_| Error::system("send the step", io::ErrorKind::ArgumentListTooLong))?;
    let sent = control.write_all(&length.to_ne_bytes()).and_then(|()| control.write_all(&bytes));
    match sent {
        // it has ended already, and says why
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| Error::Spawn { source }),
    }
}

/// Never left running: whatever happens here, its socket closes first, and then it is waited for.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // only after an error or a panic of ours; what it started dies with it
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Helper {
    /// Hands on the output until both streams have ended and the report is there.
    fn follow(
        &mut self,
        control: &UnixStream,
        cancel: Option<&Cancel>,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> io::Result<()> {
        let mut stdout = self.0.stdout.take().map(OwnedFd::from);
        let mut stderr = self.0.stderr.take().map(OwnedFd::from);
        let mut cancel = cancel.map(AsFd::as_fd);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let reported = [&stdout, &stderr].iter().all(|stream| stream.is_none());
            let wanted: [Option<BorrowedFd<'_>>; 4] = [
                stdout.as_ref().map(AsFd::as_fd),
                stderr.as_ref().map(AsFd::as_fd),
                cancel,
                // its report comes last
                reported.then(|| control.as_fd()),
            ];
            let [out, err, cancelled, report] = ready(wanted)?;
            if cancelled {
                cancel = None;
                // any byte means: stop
                let _ = rustix::io::write(control, b"c");
            }
            if out {
                forward(&mut stdout, Stream::Stdout, &mut buffer, output)?;
            }
            if err {
                forward(&mut stderr, Stream::Stderr, &mut buffer, output)?;
            }
            if report {
                return Ok(());
            }
        }
    }
}

/// Waits until at least one of the descriptors can be read, and says which.
fn ready<const N: usize>(wanted: [Option<BorrowedFd<'_>>; N]) -> io::Result<[bool; N]> {
    let at: Vec<usize> = (0..N).filter(|at| wanted[*at].is_some()).collect();
    let mut fds: Vec<_> = wanted
        .into_iter()
        .flatten()
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    while let Err(error) = poll(&mut fds, None) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    let mut ready = [false; N];
    for (at, fd) in at.into_iter().zip(&fds) {
        ready[at] = !fd.revents().is_empty();
    }
    Ok(ready)
}

fn forward(
    from: &mut Option<OwnedFd>,
    stream: Stream,
    buffer: &mut [u8],
    output: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<()> {
    let Some(fd) = from else { return Ok(()) };
    match rustix::io::read(fd, &mut *buffer) {
        Ok(0) => *from = None,
        Ok(length) => output(stream, &buffer[..length]),
        Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(())
}
