//! Restart policies: one process that starts a container's monitor again.
//!
//! A monitor leaves the host's mount namespace, so it cannot begin anew; and a fresh one must begin where the first one
//! did. So a container with a policy has a keeper: a process that does nothing but wait for its monitor, which is
//! its child, and between two lives answers the control socket in its place.
//!
//! A killed monitor is a guest's end like any other. A killed keeper leaves the container as it is, without a policy.

use super::ownership::{self, Owned};
use super::server::{self, Event};
use super::session::timeout;
use super::{Error, client};
use crate::monitor::control::{Request, Response};
use crate::reconcile;
use crate::state::{self, Exit, Status};
use crate::sys::process::Process;
use crate::sys::signal::SignalQueue;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::restart::{Backoff, RestartPolicy};
use knarr_core::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;
use std::time::{Duration, Instant};

/// What this process is to do.
pub(super) enum Task {
    /// Run the container once, as its monitor; `restarts` is how often it was started again before.
    Live { restarts: u32 },
    /// Nothing more: the last life is over.
    Done(Exit),
}

/// Makes this process a keeper, and returns in each of its children, and in itself after the last one.
///
/// `parted` is called in the keeper once the first child has everything that only a monitor needs.
pub(super) fn keep(
    root: &Root,
    id: &ContainerId,
    policy: RestartPolicy,
    parted: &mut dyn FnMut(),
) -> Result<Task, Error> {
    let failed = |source| Error::Spawn { id: id.clone(), source };
    // what ends a machine's processes is for the guest first: see below
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let mut backoff = Backoff::default();
    let mut restarts = 0;
    loop {
        let begun = Instant::now();
        let Some(child) = fork().map_err(failed)? else { return Ok(Task::Live { restarts }) };
        parted();
        let code = child.reap().map_err(|source| Error::Watch { source })?;
        let over = Exit { code, oom_killed: false, error: None };
        // also puts right what a killed monitor left
        let Some(container) = reconcile::container(root, id)? else { return Ok(Task::Done(over)) };
        let state = container.state;
        let exit = state.exit.clone().unwrap_or(over);
        let is_first = restarts == 0 && state.status == Status::Created;
        let asked = is_asked_to_end(&signals)?;
        if state.is_alive()
            || state.stopped
            || is_first
            || asked
            || !policy.again(exit.code, restarts)
        {
            return Ok(Task::Done(exit));
        }
        let wait = backoff.next(begun.elapsed());
        if !pause(root, id, &exit, wait, &signals)? {
            return Ok(Task::Done(exit));
        }
        restarts += 1;
    }
}

/// `None` in the child.
fn fork() -> io::Result<Option<Process>> {
    // SAFETY: a monitor has a single thread, so the child's heap and locks are in a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Process::open(pid.unsigned_abs()).map(Some),
    }
}

/// The machine goes down, or somebody wants this process to end: its monitor has heard it as well.
fn is_asked_to_end(signals: &SignalQueue) -> Result<bool, Error> {
    let mut asked = false;
    while let Some(signal) = signals.next().map_err(|source| Error::Signals { source })? {
        asked |= signal.asks_to_end();
    }
    Ok(asked)
}

/// Waits between two lives; `false` if there is to be no other one. The container is ours meanwhile.
fn pause(
    root: &Root,
    id: &ContainerId,
    exit: &Exit,
    wait: Duration,
    signals: &SignalQueue,
) -> Result<bool, Error> {
    let Owned { mut state, monitor, .. } = match ownership::take(root, id) {
        Ok(owned) => owned,
        // somebody else starts or removes it
        Err(Error::AlreadyRunning { .. }) => return Ok(false),
        Err(e) => return Err(e),
    };
    let paths = root.container(id);
    let end = |result| {
        sys::remove_tree(paths.run())?;
        result
    };
    if state.state().stopped || state.apply(state::ContainerState::restarting).is_err() {
        return end(Ok(false));
    }
    let listener = match client::listen(&paths.control_socket()) {
        Ok(listener) => listener,
        Err(e) => return end(Err(e)),
    };
    drop(state);
    let mut clients = Vec::new();
    let until = Instant::now() + wait;
    let mut stopped = false;
    while !stopped && Instant::now() < until {
        let mut fds =
            vec![PollFd::new(&listener, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        fds.extend(clients.iter().map(|client| PollFd::new(client, PollFlags::IN)));
        match poll(&mut fds, timeout(Some(until)).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return end(Err(Error::Watch { source: e.into() })),
        }
        drop(fds);
        while let Some(client) = server::accept(&listener) {
            clients.push(client);
        }
        clients.retain_mut(|client: &mut server::Client| match client.receive() {
            Ok(events) => {
                for event in events {
                    if let Event::Request(request) = event {
                        stopped |= answer(client, &request);
                    }
                }
                client.flush()
            }
            Err(server::Gone) => false,
        });
        stopped |= is_asked_to_end(signals)?;
    }
    if stopped {
        // before anybody is told
        let given_up = state::apply(root, id, state::ContainerState::given_up);
        for client in &mut clients {
            client.exited(exit);
            client.flush();
        }
        return end(given_up.map(|_| false).map_err(Error::from));
    }
    drop(listener);
    sys::remove_tree(paths.run())?;
    drop(monitor);
    Ok(true)
}

/// Whether somebody wants the container to stop. Who waits for that is told in the end; who wants something of the guest
/// gets no answer, as from a container that does not run.
fn answer(client: &mut server::Client, request: &Request) -> bool {
    match request {
        Request::Ping => {
            client.answer(request, Some(&Response::Done));
            false
        }
        Request::Stop { .. } => {
            client.answer(request, None);
            true
        }
        Request::Wait => {
            client.answer(request, None);
            false
        }
        _ => {
            client.hang_up();
            false
        }
    }
}
