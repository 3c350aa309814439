//! What a session waits for.

use super::Session;
use crate::monitor::health;
use crate::monitor::server::Client;
use crate::monitor::sink::Sink;
use crate::net::names;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Guest,
    Signals,
    Listener,
    Output(usize),
    GuestStdin,
    OwnStdin,
    OwnStdout,
    OwnStderr,
    Client(usize),
    Denials,
    /// The first client of a published port.
    Published,
    Names(names::Source),
    Health(health::Source),
    /// The end of a further guest's child.
    Further,
}

impl Session<'_> {
    /// Waits until something is ready, or until the guest is to be killed.
    pub(super) fn wait(&self) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Guest, Source::Signals];
        let mut fds = vec![
            PollFd::new(self.guest.process(), PollFlags::IN),
            PollFd::new(self.signals, PollFlags::IN),
        ];
        let mut more: Vec<(Source, BorrowedFd<'_>, PollFlags)> = Vec::new();
        if let Some(listener) = &self.listener {
            more.push((Source::Listener, listener.as_fd(), PollFlags::IN));
        }
        if self.outputs_wanted() {
            for (at, output) in self.outputs.iter().enumerate() {
                if let Some(fd) = &output.fd {
                    more.push((Source::Output(at), fd.as_fd(), PollFlags::IN));
                }
            }
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|s| !s.is_empty()) {
            more.push((Source::GuestStdin, stdin.as_fd(), PollFlags::OUT));
        }
        let hungry = self.stdin.as_ref().is_some_and(Sink::is_empty);
        if let Some(own) = &self.own {
            if let Some(fd) = own.stdin.as_ref().filter(|_| hungry) {
                more.push((Source::OwnStdin, fd.as_fd(), PollFlags::IN));
            }
            if let Some(sink) = own.stdout.as_ref().filter(|s| !s.is_empty()) {
                more.push((Source::OwnStdout, sink.as_fd(), PollFlags::OUT));
            }
            if let Some(sink) = own.stderr.as_ref().filter(|s| !s.is_empty()) {
                more.push((Source::OwnStderr, sink.as_fd(), PollFlags::OUT));
            }
        }
        for (at, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            // input for a guest that does not read stays in the socket
            if !client.feeds_stdin() || self.stdin.is_none() || hungry {
                flags |= PollFlags::IN;
            }
            if client.has_output() {
                flags |= PollFlags::OUT;
            }
            more.push((Source::Client(at), client.as_fd(), flags));
        }
        if let Some(denials) = &self.denials {
            more.extend(denials.wanted().map(|fd| (Source::Denials, fd, PollFlags::IN)));
        }
        if let Some(names) = &self.names {
            more.extend(
                names.wanted().map(|(source, fd, flags)| (Source::Names(source), fd, flags)),
            );
        }
        if let Some(probes) = &self.probes {
            more.extend(
                probes.wanted().map(|(source, fd, flags)| (Source::Health(source), fd, flags)),
            );
        }
        if let Some(further) = &self.further {
            let children = further.children.iter();
            more.extend(children.map(|(child, _)| (Source::Further, child.as_fd(), PollFlags::IN)));
        }
        // one of them is enough
        more.extend(self.publication.wanted().map(|fd| (Source::Published, fd, PollFlags::IN)));
        for (source, fd, flags) in more {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let answer_by = self.names.as_ref().and_then(names::Resolver::deadline);
        let probe_by = self.probes.as_ref().and_then(health::Probes::deadline);
        let left = timeout([self.kill_at, answer_by, probe_by].into_iter().flatten().min());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        }
        let ready = fds.iter().zip(sources).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, source)| source).collect())
    }

    fn outputs_wanted(&self) -> bool {
        let own = self.own.as_ref();
        let waits = |sink: Option<&Sink<BorrowedFd<'static>>>| sink.is_some_and(|s| !s.is_empty());
        !waits(own.and_then(|o| o.stdout.as_ref()))
            && !waits(own.and_then(|o| o.stderr.as_ref()))
            && !self.clients.iter().any(Client::is_slow)
    }
}

pub(in crate::monitor) fn timeout(at: Option<Instant>) -> Option<rustix::time::Timespec> {
    let left = at?.saturating_duration_since(Instant::now());
    // rounded up, so that the loop does not spin through the last moment
    let left = left + Duration::from_millis(1);
    left.try_into().ok()
}
