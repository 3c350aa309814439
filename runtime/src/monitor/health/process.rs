//! A probe that is a command, executed in the container as `exec` does.
//!
//! Setting it up waits for the container, and an exit code for its end: a child of the monitor does both, and passes on
//! what came of it. It dies with the monitor, and the command with it.

use super::{OUTPUT, Outcome, Source};
use crate::engine::Stdio;
use crate::engine::native::{self, ExecProcess};
use crate::monitor::Error;
use crate::monitor::further::Place;
use crate::monitor::report::in_one_line;
use crate::monitor::session::timeout;
use crate::sys::process;
use crate::sys::signal::{Signal, SignalQueue};
use knarr_core::spec::EngineKind;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, getpid, kill_process_group};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How much longer than the command's time all of a probe may take. Docker gives its start half a minute.
pub const PATIENCE: Duration = Duration::from_secs(35);

/// How long a command may take to end that was killed.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the child says at its end.
#[derive(Debug, Serialize, Deserialize)]
enum Verdict {
    Exited(u8),
    TooLong,
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Process {
    child: process::Process,
    /// `None` once it has ended.
    output: Option<OwnedFd>,
    verdict: File,
    said: Vec<u8>,
}

impl Process {
    pub fn begin(
        place: &Place,
        args: Vec<String>,
        channel: Option<OwnedFd>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let (output, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let (verdict, report) = pipe_with(PipeFlags::CLOEXEC)?;
        for fd in [&output, &verdict] {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        let monitor = getpid();
        if let Some(child) = process::fork()? {
            let (output, verdict) = (Some(output), verdict.into());
            return Ok(Self { child, output, verdict, said: Vec::new() });
        }
        let kept = [&writer, &report].into_iter().chain(&channel).map(AsRawFd::as_raw_fd);
        if process::become_child(monitor, kept) {
            let wanted = ExecProcess { args, ..ExecProcess::default() };
            let act = || execute(place, &wanted, writer, channel, timeout);
            let verdict = catch_unwind(AssertUnwindSafe(act))
                .unwrap_or_else(|_| Verdict::Failed("the probe failed".into()));
            let bytes = serde_json::to_vec(&verdict).unwrap_or_default();
            // a monitor that is gone needs none
            let _ = File::from(report).write_all(&bytes);
        }
        process::leave()
    }

    pub fn wanted(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let output = self.output.as_ref().map(|fd| (Source::Output, fd.as_fd(), PollFlags::IN));
        [(Source::End, self.child.as_fd(), PollFlags::IN)].into_iter().chain(output)
    }

    pub fn ready(&mut self, source: Source, timeout: Duration) -> Option<Outcome> {
        match source {
            Source::Output => {
                self.read();
                None
            }
            Source::End => Some(self.outcome(timeout)),
            Source::Socket => None,
        }
    }

    /// Ends the command, which is in the way.
    pub fn interrupt(&mut self) {
        let _ = self.child.signal(Signal::TERM);
    }

    /// Reads once; whether there may be more.
    fn read(&mut self) -> bool {
        let Some(output) = &self.output else { return false };
        let mut chunk = [0; 16 << 10];
        match rustix::io::read(output, &mut chunk) {
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            Ok(0) | Err(_) => {
                self.output = None;
                false
            }
            Ok(count) => {
                let room = OUTPUT.saturating_sub(self.said.len());
                self.said.extend_from_slice(&chunk[..count.min(room)]);
                true
            }
        }
    }

    /// Of a child that has ended. What the command left behind may go on writing.
    fn outcome(&mut self, timeout: Duration) -> Outcome {
        while self.said.len() < OUTPUT && self.read() {}
        let _ = self.child.reap();
        let mut verdict = Vec::new();
        // none, if it was killed
        let _ = self.verdict.read_to_end(&mut verdict);
        let output = std::mem::take(&mut self.said);
        match serde_json::from_slice(&verdict) {
            Ok(Verdict::Exited(code)) => Outcome { code: code.into(), output },
            Ok(Verdict::TooLong) => Outcome::too_long(timeout, &output),
            Ok(Verdict::Failed(reason)) => Outcome::failed(-1, reason),
            Err(_) => Outcome::failed(-1, "the process that probes was killed"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // one that has ended is not meant any more; the command dies with it
        let _ = self.child.signal(Signal::KILL);
        let _ = self.child.reap();
    }
}

/// In the child.
fn execute(
    place: &Place,
    wanted: &ExecProcess,
    output: OwnedFd,
    channel: Option<OwnedFd>,
    limit: Duration,
) -> Verdict {
    let run = || -> Result<Verdict, Error> {
        let stream = |source| Error::Stream { operation: "make the streams", source };
        let stdout = fcntl_dupfd_cloexec(&output, 3).map_err(|e| stream(e.into()))?;
        let stdio = Stdio::Pipes { stdin: None, stdout, stderr: output };
        let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
        let (root, spec) = (place.root, place.spec);
        let pid = match spec.engine {
            EngineKind::Native => native::exec(root, spec, place.pid, wanted, stdio, &signals)?.pid,
            EngineKind::Wasm => {
                place.start(wanted, &knarr_core::spec::Process::default(), stdio, channel)?.pid
            }
        };
        let watch =
            process::Process::open(pid).and_then(|command| watch(&command, pid, limit, &signals));
        watch.map_err(|source| Error::Watch { source })
    };
    run().unwrap_or_else(|e| Verdict::Failed(in_one_line(&e)))
}

/// Waits for the command's end, and brings it about with its process group when its time is over.
fn watch(
    command: &process::Process,
    pid: u32,
    limit: Duration,
    signals: &SignalQueue,
) -> io::Result<Verdict> {
    let until = Instant::now() + limit;
    let kill = || {
        // it leads a session of its own, and is not reaped yet: the number is no other group's
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, rustix::process::Signal::KILL));
        command.signal(Signal::KILL)
    };
    loop {
        let mut fds = [PollFd::new(command, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut fds, timeout(Some(until)).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if !fds[0].revents().is_empty() {
            return Ok(Verdict::Exited(command.reap()?));
        }
        while let Some(signal) = signals.next()? {
            if signal.asks_to_end() {
                kill()?;
                // one that is frozen with its container ends later
                let _ = poll(&mut fds[..1], timeout(Some(Instant::now() + FAREWELL)).as_ref());
                return Ok(Verdict::Failed("interrupted".into()));
            }
        }
        if Instant::now() >= until {
            kill()?;
            command.ended()?;
            return Ok(Verdict::TooLong);
        }
    }
}
