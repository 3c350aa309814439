//! The guest's standard streams and the monitor's ends of them.

use super::Error;
use super::log::Stream;
use super::session::{Output, Own};
use crate::engine::{Guest, Stdio};
use knarr_core::spec::Process;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;

/// The monitor's ends.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub outputs: Vec<Output>,
    pub stdin: Option<OwnedFd>,
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> Error {
    move |e| Error::Stream { operation, source: e.into() }
}

/// Makes the guest's streams. A terminal is made by the engine: see [`of_terminal`].
pub(super) fn make(process: &Process, size: (u16, u16)) -> Result<(Stdio, Ends), Error> {
    if process.tty {
        let (rows, columns) = size;
        return Ok((Stdio::Terminal { rows, columns }, Ends::default()));
    }
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(failed("make the streams"));
    let (stdin, our_stdin) = if process.open_stdin {
        let (read, write) = pipe()?;
        (Some(read), Some(write))
    } else {
        (None, None)
    };
    let (our_stdout, stdout) = pipe()?;
    let (our_stderr, stderr) = pipe()?;
    let output = |stream, fd| Output { stream, fd: Some(fd) };
    let outputs = vec![output(Stream::Stdout, our_stdout), output(Stream::Stderr, our_stderr)];
    Ok((Stdio::Pipes { stdin, stdout, stderr }, Ends { outputs, stdin: our_stdin }))
}

/// Takes the terminal of a guest that has one, and makes reading without blocking possible.
pub(super) fn of_guest(
    mut ends: Ends,
    guest: &mut Guest,
    process: &Process,
) -> Result<Ends, Error> {
    if let Some(master) = guest.terminal.take() {
        let failed = failed("take the terminal");
        if process.open_stdin {
            ends.stdin = Some(fcntl_dupfd_cloexec(&master, 3).map_err(&failed)?);
        }
        ends.outputs = vec![Output { stream: Stream::Stdout, fd: Some(master) }];
    }
    for fd in ends.outputs.iter().filter_map(|o| o.fd.as_ref()) {
        fcntl_getfl(fd)
            .and_then(|flags| fcntl_setfl(fd, flags | OFlags::NONBLOCK))
            .map_err(failed("read the output"))?;
    }
    Ok(ends)
}

/// The monitor's own streams in the foreground.
pub(super) fn own(process: &Process) -> Own {
    Own::streams(process.open_stdin)
}
