//! A running guest and everybody who listens to it: one `poll` loop, no threads.
//!
//! The guest's output goes to the log, to the monitor's own standard streams (in the foreground) and to attached
//! clients; it is read only as fast as the slowest of them takes it, as with any pipe.

mod further;
mod ids;
mod own;
mod probes;
mod ready;

use super::control::{Request, Response};
use super::guest::Guarded;
use super::health::Probes;
use super::log::{Log, Stream};
use super::networks::Networks;
use super::report::Failure;
use super::server::{self, Client, Event, Gone};
use super::sink::Sink;
use crate::net::names::Resolver;
use crate::net::rootless;
use crate::net::{Denials, Publication};
use crate::state::Exit;
use crate::sys::signal::{Signal, SignalQueue};
use crate::sys::terminal;
pub(super) use further::Further;
pub(super) use ids::OneId;
pub(super) use own::{INTERRUPTS, Own};
use ready::Source;
pub(super) use ready::timeout;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long clients that do not read may delay the end of the monitor.
const FAREWELL: Duration = Duration::from_secs(10);

/// One of the guest's output streams, or its terminal.
#[derive(Debug)]
pub(super) struct Output {
    pub stream: Stream,
    /// `None` once it has ended.
    pub fd: Option<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Session<'a> {
    pub guest: Guarded<'a>,
    pub outputs: Vec<Output>,
    /// Towards the guest; `None` without `-i`, or once it was closed.
    pub stdin: Option<Sink<OwnedFd>>,
    /// The end of the first feeder's input is the end of the guest's (a foreground run); otherwise it stays open for the
    /// next client.
    pub stdin_once: bool,
    /// The input has ended, and what waits is still to be delivered.
    pub stdin_ends: bool,
    pub own: Option<Own>,
    /// For new clients; `None` for a process that only those know who started it (`exec`).
    pub listener: Option<OwnedFd>,
    pub clients: Vec<Client>,
    pub signals: &'a SignalQueue,
    pub log: Option<Log>,
    pub terminal: bool,
    pub kill_at: Option<Instant>,
    /// The number of the signal that asks the container to end; 0 if there is none.
    pub stop_signal: i32,
    /// Somebody asked it to end.
    pub was_stopped: bool,
    /// By `stop`, rather than by a signal.
    pub stop_asked: bool,
    /// Answers the container's questions for names.
    pub names: Option<Resolver>,
    /// `None` for a process that was not given the container's networks (`exec`).
    pub networks: Option<Networks<'a>>,
    /// Tells what the container was refused.
    pub denials: Option<Denials>,
    /// Looks whether it fails for want of ids.
    pub one_id: Option<OneId>,
    /// The published ports of the host.
    pub publication: Publication,
    /// Looks whether it is healthy; `None` without a check.
    pub probes: Option<Probes<'a>>,
    /// Of a Wasm container.
    pub further: Option<Further<'a>>,
    /// It is to be started again, as it was not healthy.
    pub starts_again: bool,
    /// An ordinary user's networks are there as long as somebody has this.
    pub _rootless: Option<rootless::Entered>,
}

impl Session<'_> {
    /// Passes everything on until the guest has ended; its exit code. What it wrote last is in the log and on its way
    /// to the clients.
    pub fn run(&mut self) -> io::Result<u8> {
        let mut buffer = vec![0u8; 32 << 10];
        loop {
            let ready = self.wait()?;
            let (clients, others): (Vec<Source>, Vec<Source>) =
                ready.iter().partition(|source| matches!(source, Source::Client(_)));
            // clients backwards: one that is removed is replaced by the last one, which has had its turn then
            for source in clients.into_iter().rev().chain(others) {
                self.handle(source, &mut buffer)?;
            }
            if ready.contains(&Source::Guest) {
                self.drain(&mut buffer);
                return self.guest.reap();
            }
            if let Some(names) = &mut self.names
                && names.deadline().is_some_and(|at| at <= Instant::now())
            {
                names.tick();
            }
            self.probe()?;
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.guest.signal(Signal::KILL)?;
                self.tell_kill(Signal::KILL.number());
            }
            self.forget_gone_clients();
        }
    }

    /// Tells everybody how the guest ended, also those whose connection was not accepted yet. Who wants to end a container
    /// that is started again gets no answer, and asks whoever has it then.
    pub fn announce(&mut self, exit: &Exit, goes_on: bool) {
        self.accept();
        for client in &mut self.clients {
            if let Ok(events) = client.receive() {
                for event in events {
                    if let Event::Request(request) = event {
                        match &request {
                            // nothing runs any more: the connection closes without an answer
                            Request::Ping
                            | Request::Attach { .. }
                            | Request::Execute { .. }
                            | Request::Further => {}
                            Request::Stop { .. } if goes_on => {}
                            Request::Signal { signal }
                                if goes_on && *signal == self.stop_signal => {}
                            Request::Wait
                            | Request::Stop { .. }
                            | Request::AwaitHealth { .. }
                            | Request::Probe => client.answer(&request, None),
                            // a signal to a guest that has ended was delivered in time
                            _ => client.answer(&request, Some(&Response::Done)),
                        }
                    }
                }
            }
            client.exited(exit);
        }
        self.forget_gone_clients();
    }

    /// Gets rid of what is still on its way.
    pub fn farewell(&mut self) {
        if let Some(own) = &mut self.own {
            own.finish();
        }
        let until = Instant::now() + FAREWELL;
        while !self.clients.is_empty() && Instant::now() < until {
            let mut fds: Vec<PollFd> =
                self.clients.iter().map(|c| PollFd::new(c, PollFlags::OUT)).collect();
            let left = timeout(Some(until));
            if !matches!(poll(&mut fds, left.as_ref()), Ok(1..) | Err(Errno::INTR)) {
                return;
            }
            self.forget_gone_clients();
        }
    }

    fn handle(&mut self, source: Source, buffer: &mut [u8]) -> io::Result<()> {
        match source {
            Source::Guest => {}
            Source::Signals => {
                while let Some(signal) = self.signals.next()? {
                    if signal != Signal::WINCH {
                        self.guest.signal(signal)?;
                        self.tell_kill(signal.number());
                    }
                    // this process cannot leave a guest that does not mind: it is its monitor
                    if matches!(signal, Signal::INT | Signal::TERM)
                        && self.own.as_mut().is_some_and(Own::interrupted)
                    {
                        self.guest.signal(Signal::KILL)?;
                    }
                }
            }
            Source::Listener => self.accept(),
            Source::Output(at) => {
                self.read_output(at, buffer);
            }
            Source::GuestStdin => self.flush_stdin(),
            Source::OwnStdin => self.read_own_stdin(buffer),
            Source::OwnStdout | Source::OwnStderr => self.flush_own(),
            Source::Client(at) => self.serve(at),
            Source::Denials => {
                for line in self.denials.as_mut().map(Denials::lines).unwrap_or_default() {
                    self.pass_on(Stream::Stderr, line.as_bytes());
                }
            }
            Source::Published => self.publication.start(),
            Source::Names(source) => {
                if let Some(names) = &mut self.names {
                    names.ready(source);
                }
            }
            Source::Further => self.reap_further(),
            Source::Health(source) => {
                if let Some(probes) = &mut self.probes {
                    probes.ready(source);
                }
            }
        }
        Ok(())
    }

    /// Reads once; `false` when there is nothing (more) to read.
    fn read_output(&mut self, at: usize, buffer: &mut [u8]) -> bool {
        let output = &mut self.outputs[at];
        let Some(fd) = &output.fd else { return false };
        let stream = output.stream;
        match rustix::io::read(fd, &mut *buffer) {
            Ok(0) => {}
            Ok(count) => {
                self.pass_on(stream, &buffer[..count]);
                return true;
            }
            Err(Errno::AGAIN) => return false,
            Err(Errno::INTR) => return true,
            // a terminal that nobody has open any more says EIO
            Err(_) => {}
        }
        output.fd = None;
        self.end_log(stream);
        false
    }

    fn pass_on(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(one_id) = &mut self.one_id {
            one_id.look(bytes);
        }
        if let Some(log) = &mut self.log {
            // a full disk must not take the guest down: the log has a gap then
            let _ = log.write(stream, bytes);
        }
        for client in &mut self.clients {
            client.output(stream, bytes);
        }
        if let Some(own) = &mut self.own {
            own.put(stream, bytes);
        }
        self.flush_own();
    }

    /// In the foreground the guest is one program of a pipeline: when nobody reads our output any more
    /// (`knarr run … | head`), nobody reads the guest's, and it is told so as any program is.
    fn flush_own(&mut self) {
        let Some(own) = &mut self.own else { return };
        for stream in own.flush() {
            for output in self.outputs.iter_mut().filter(|o| o.stream == stream) {
                output.fd = None;
            }
        }
    }

    fn read_own_stdin(&mut self, buffer: &mut [u8]) {
        let Some(own) = &mut self.own else { return };
        let Some(fd) = own.stdin else { return };
        match rustix::io::read(fd, &mut *buffer) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => {
                own.stdin = None;
                self.end_stdin();
            }
            Ok(count) => {
                if let Some(stdin) = &mut self.stdin {
                    stdin.buffer().extend_from_slice(&buffer[..count]);
                }
                self.flush_stdin();
            }
        }
    }

    fn flush_stdin(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        // a guest that has closed its end gets no more
        if stdin.flush().is_err() || (self.stdin_ends && stdin.is_empty()) {
            self.stdin = None;
        }
    }

    /// The input has ended. A terminal's has no end: a client sends ^D as a character.
    fn end_stdin(&mut self) {
        if self.stdin_once && !self.terminal {
            self.stdin_ends = true;
            self.flush_stdin();
        }
    }

    fn serve(&mut self, at: usize) {
        let client = &mut self.clients[at];
        match client.receive() {
            Ok(events) => {
                if let Some(Event::Request(request @ Request::Execute { .. })) = events.first() {
                    return self.execute(at, request);
                }
                let asked = matches!(events.first(), Some(Event::Request(_)));
                self.perform(at, events);
                if asked && let Ok(rest) = self.clients[at].rest() {
                    self.perform(at, rest);
                }
            }
            Err(Gone) => {
                let client = self.clients.swap_remove(at);
                if client.feeds_stdin() {
                    self.end_stdin();
                }
            }
        }
    }

    fn perform(&mut self, at: usize, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Request(request) => {
                    let response = self.request(&request);
                    self.clients[at].answer(&request, response.as_ref());
                }
                Event::Stdin(bytes) => {
                    if let Some(stdin) = &mut self.stdin {
                        stdin.buffer().extend_from_slice(&bytes);
                    }
                    self.flush_stdin();
                }
                Event::StdinEnded => self.end_stdin(),
            }
        }
    }

    /// Does what a client asks; `None` if the answer comes with the guest's end.
    fn request(&mut self, request: &Request) -> Option<Response> {
        let done = |result: Result<(), Failure>| {
            Some(result.map_or_else(Response::Failed, |()| Response::Done))
        };
        match request {
            Request::Attach { .. } => {
                self.tell("attach", &[]);
                Some(Response::Attached { terminal: self.terminal })
            }
            Request::Wait => None,
            Request::Ping => Some(Response::Done),
            Request::Resize { rows, columns } => {
                if let Some(fd) = self.outputs.first().and_then(|o| o.fd.as_ref())
                    && self.terminal
                {
                    // a terminal that refuses a size keeps its old one
                    let _ = terminal::resize(fd, *rows, *columns);
                    let size = [("height", rows.to_string()), ("width", columns.to_string())];
                    self.tell("resize", &size);
                }
                Some(Response::Done)
            }
            Request::Signal { signal } => {
                self.was_stopped |= *signal == self.stop_signal;
                done(self.signal(*signal))
            }
            Request::Stop { signal, timeout } => {
                self.was_stopped = true;
                self.stop_asked |= *timeout >= 0 || *signal != Signal::KILL.number();
                if let Err(failure) = self.signal(*signal) {
                    return Some(Response::Failed(failure));
                }
                if *signal != Signal::KILL.number() {
                    self.kill_after(*timeout);
                }
                None
            }
            Request::Networks => {
                let names = self.names.as_mut();
                let refreshed = self.networks.as_mut().map_or(Ok(()), |n| {
                    let refreshed = n.refresh(names);
                    self.publication.follow(&n.places);
                    refreshed
                });
                done(refreshed.map_err(|e| e.to_failure()))
            }
            Request::Pause => done(self.pause()),
            Request::Resume => done(self.resume()),
            // by [`Self::execute`]
            Request::Execute { .. } => None,
            Request::AwaitHealth { until } => self.await_health(until),
            Request::Probe => self.hasten_probe(),
            Request::Further => Some(Response::Further(self.further_commands())),
        }
    }

    /// Not at all if negative; in seconds.
    fn kill_after(&mut self, timeout: i64) {
        if let Ok(seconds) = u64::try_from(timeout) {
            let at = Instant::now() + Duration::from_secs(seconds);
            self.kill_at = Some(self.kill_at.map_or(at, |other| other.min(at)));
        }
    }

    /// Reads what the guest wrote before it ended. Its descendants have ended with it, or do not count.
    fn drain(&mut self, buffer: &mut [u8]) {
        for at in 0..self.outputs.len() {
            while self.read_output(at, buffer) {}
            if self.outputs[at].fd.take().is_some() {
                self.end_log(self.outputs[at].stream);
            }
        }
    }

    fn end_log(&mut self, stream: Stream) {
        if let Some(log) = &mut self.log {
            // see pass_on
            let _ = log.end(stream);
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        while let Some(client) = server::accept(listener) {
            self.clients.push(client);
        }
    }

    fn forget_gone_clients(&mut self) {
        let mut fed = false;
        self.clients.retain_mut(|client| {
            let kept = client.flush();
            fed |= !kept && client.feeds_stdin();
            kept
        });
        if fed {
            self.end_stdin();
        }
    }
}
