//! Restart policies: one process that starts a container's monitor again.
//!
//! A monitor leaves the host's mount namespace, so it cannot begin anew; and a fresh one must begin where the first one
//! did. So a container with a policy has a keeper: a process that does nothing but wait for its monitor, which is
//! its child, and between two lives answers the control socket in its place.
//!
//! The container belongs to its keeper from the first life to the last: the lock and the listening socket are the keeper's,
//! and each monitor has inherited them. So there is no moment at which nobody owns the container, and whoever connects
//! between two owners is answered by the next one.
//!
//! A killed monitor is a guest's end like any other. A killed keeper leaves the container as it is, without a policy.

use super::ownership::{self, Owned};
use super::server::{self, Event};
use super::session::timeout;
use super::{Error, client};
use crate::monitor::control::{Request, Response};
use crate::reconcile;
use crate::state::{self, Exit, Status};
use crate::sys::process;
use crate::sys::signal::SignalQueue;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::{ContainerPaths, Root};
use knarr_core::spec::restart::{Backoff, RestartPolicy};
use knarr_core::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, getppid};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What this process is to do.
pub(super) enum Task {
    /// Run the container once, as its monitor.
    Live(Seat),
    /// Nothing more: the last life is over.
    Done(Exit),
}

/// What a monitor has of its keeper.
#[derive(Debug)]
pub struct Seat {
    pub(super) monitor: Lock,
    pub(super) listener: OwnedFd,
    pub(super) term: Term,
}

/// One life of several.
#[derive(Debug)]
pub(super) struct Term {
    /// How often the container was started again before.
    pub restarts: u32,
    policy: RestartPolicy,
    keeper: Pid,
}

impl Term {
    /// Whether the keeper starts the container again after this end. Nobody has stopped the container.
    pub fn goes_on(&self, exit: &Exit) -> bool {
        self.has_keeper() && self.policy.again(exit.code, self.restarts)
    }

    /// Whether there is somebody to take the seat back.
    pub fn has_keeper(&self) -> bool {
        getppid() == Some(self.keeper)
    }
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
    // what ends a machine's processes is for the guest first: see below
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let Owned { state, monitor, .. } = ownership::take(root, id)?;
    let paths = root.container(id);
    let begun =
        ownership::check_startable(&state).and_then(|()| client::listen(&paths.control_socket()));
    drop(state);
    let listener = match begun {
        Ok(listener) => listener,
        Err(e) => {
            sys::remove_tree(paths.run())?;
            return Err(e);
        }
    };
    let keeper = getpid();
    let mut backoff = Backoff::default();
    let mut restarts = 0;
    let last = loop {
        let begun = Instant::now();
        let child = match process::fork() {
            Ok(Some(child)) => child,
            Ok(None) => {
                let term = Term { restarts, policy, keeper };
                return Ok(Task::Live(Seat { monitor, listener, term }));
            }
            Err(source) => break Err(Error::Spawn { id: id.clone(), source }),
        };
        parted();
        let ended = child.ended().and_then(|()| {
            // before its number can come to mean another process: who connects is told by it whom to kill
            client::listen_again(&listener)?;
            child.reap()
        });
        let code = match ended {
            Ok(code) => code,
            Err(source) => break Err(Error::Watch { source }),
        };
        let end = match after_a_life(root, id, policy, restarts, code) {
            Ok(end) => end,
            Err(e) => break Err(e),
        };
        let exit = match end {
            After::Over(exit) => break Ok(exit),
            After::Again(exit) => exit,
        };
        let wait = backoff.next(begun.elapsed());
        match pause(root, id, &exit, wait, &signals, &listener) {
            Ok(Pause::Over) => restarts += 1,
            Ok(Pause::Ended) => break Ok(exit),
            Err(e) => break Err(e),
        }
    };
    if last.is_err() {
        // nobody starts it any more, and nobody is to think so
        let _ = state::apply(root, id, |s| s.given_up(false));
    }
    sys::remove_tree(paths.run())?;
    last.map(Task::Done)
}

enum After {
    Again(Exit),
    Over(Exit),
}

/// Clears away what a monitor left that has ended, however it did, and reads what it has written down.
fn after_a_life(
    root: &Root,
    id: &ContainerId,
    policy: RestartPolicy,
    restarts: u32,
    code: u8,
) -> Result<After, Error> {
    let over = Exit { code, oom_killed: false, error: None };
    let mut state = match state::Locked::take(root, id) {
        Ok(state) => state,
        Err(state::Error::Gone { .. }) => return Ok(After::Over(over)),
        Err(e) => return Err(e.into()),
    };
    let paths = root.container(id);
    if state.state().is_alive() || !is_clear(&paths)? {
        // it was killed
        let spec = state::load_spec(root, id)?;
        reconcile::clear(root, &spec)?;
        if state.state().is_alive() {
            let exit = reconcile::killed();
            reconcile::tell_killed(root, &spec, &state.state().name);
            match policy.again(exit.code, restarts) {
                true => state.apply(|s| s.restarting(exit))?,
                false => state.apply(|s| s.exited(exit))?,
            }
        }
        clear_run(&paths)?;
    }
    if state.state().status == Status::Restarting && !state.state().waits() {
        // it was killed before it had a guest
        state.apply(|s| s.start_failed(reconcile::killed(), true))?;
    }
    let exit = state.state().exit.clone().unwrap_or(over);
    Ok(match state.state().status {
        Status::Restarting => After::Again(exit),
        _ => After::Over(exit),
    })
}

fn is_clear(paths: &ContainerPaths) -> Result<bool, Error> {
    Ok(fsx::list(paths.run())?.iter().all(|name| is_socket(paths, name)))
}

fn is_socket(paths: &ContainerPaths, name: &str) -> bool {
    paths.control_socket().file_name() == Some(OsStr::new(name))
}

/// Removes what a life leaves in the run folder; the folder itself and the socket go with the keeper.
pub(super) fn clear_run(paths: &ContainerPaths) -> fsx::Result<()> {
    for name in fsx::list(paths.run())? {
        if !is_socket(paths, &name) {
            sys::remove_tree(&paths.run().join(name))?;
        }
    }
    Ok(())
}

/// The machine goes down, or somebody wants this process to end: its monitor has heard it as well.
fn is_asked_to_end(signals: &SignalQueue) -> Result<bool, Error> {
    let mut asked = false;
    while let Some(signal) = signals.next().map_err(|source| Error::Signals { source })? {
        asked |= signal.asks_to_end();
    }
    Ok(asked)
}

#[derive(PartialEq, Eq)]
enum Pause {
    /// It is time for the next life.
    Over,
    /// There is to be none.
    Ended,
}

/// Waits between two lives.
fn pause(
    root: &Root,
    id: &ContainerId,
    exit: &Exit,
    wait: Duration,
    signals: &SignalQueue,
    listener: &OwnedFd,
) -> Result<Pause, Error> {
    let mut clients = Vec::new();
    let until = Instant::now() + wait;
    let mut stopped = false;
    let mut asked = is_asked_to_end(signals)?;
    while !stopped && !asked && Instant::now() < until {
        let mut fds =
            vec![PollFd::new(listener, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        fds.extend(clients.iter().map(|client| PollFd::new(client, PollFlags::IN)));
        match poll(&mut fds, timeout(Some(until)).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::Watch { source: e.into() }),
        }
        drop(fds);
        while let Some(client) = server::accept(listener) {
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
        asked |= is_asked_to_end(signals)?;
    }
    if !stopped && !asked {
        return Ok(Pause::Over);
    }
    // before anybody is told
    state::apply(root, id, |s| s.given_up(stopped))?;
    for client in &mut clients {
        client.exited(exit);
        client.flush();
    }
    Ok(Pause::Ended)
}

/// Whether somebody wants the container to stop. Who waits for that is told in the end; who wants something of the guest
/// gets no answer, as from a container that does not run. A signal that has no guest to go to stops it, as in Docker.
fn answer(client: &mut server::Client, request: &Request) -> bool {
    match request {
        Request::Ping => client.answer(request, Some(&Response::Done)),
        Request::Stop { .. }
        | Request::Signal { .. }
        | Request::Wait
        // in the next life
        | Request::AwaitHealth { .. } => {
            client.answer(request, None);
        }
        _ => client.hang_up(),
    }
    matches!(request, Request::Stop { .. } | Request::Signal { .. })
}
