//! A container's life from its start to its end, in the process that owns it.

use super::error::Error;
use super::further::Place;
use super::guest::Guarded;
use super::health::Probes;
use super::log::Log;
use super::networks::{Ear, Networks};
use super::ownership::{self, Owned};
use super::restart::{self, Seat, Term};
use super::server::Client;
use super::session::{Further, OneId, Own, Session};
use super::sink::Sink;
use super::{client, mounts, streams, told};
use crate::engine::{Guest, Launch, cgroup, native, wasm};
use crate::net::Surroundings;
use crate::state::{self, Container, Exit, RunningGuest};
use crate::sys::process::{self, Process};
use crate::sys::signal::{Signal, SignalQueue};
use crate::sys::terminal;
use crate::{net, reconcile};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::{ContainerPaths, Root};
use knarr_core::spec::health::HealthTest;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode, Port, Protocol};
use knarr_core::store::Store;
use knarr_core::store::snapshot::{self, Mounted, Snapshot};
use knarr_core::sys;
use knarr_core::undo::Undo;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// How a monitor runs a container.
pub struct Start<'a> {
    /// In the foreground: the process's own standard streams are the container's.
    pub foreground: bool,
    /// A client that is attached from the first byte on.
    pub client: Option<OwnedFd>,
    /// Rows and columns of a terminal.
    pub size: (u16, u16),
    /// What it has of its keeper, where it has one.
    pub seat: Option<Seat>,
    /// Called when the guest runs.
    pub ready: &'a mut dyn FnMut(),
    /// Called at each step: for tests that let the monitor die there.
    pub observe: &'a mut dyn FnMut(Step),
}

/// A point in a container's life at which it may be cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The locks are held, the socket listens.
    Owned,
    /// The container has its place on its networks.
    Attached,
    /// In a mount namespace of its own.
    Separated,
    /// Root file system and volumes are ready.
    Mounted,
    /// The guest exists, but no record says so.
    Started,
    /// The record says so.
    Recorded,
    /// The guest has ended, but no record says so.
    Ended,
    /// The record says so, and whoever waited knows.
    Announced,
    /// What the engine kept is cleared away.
    Cleared,
}

/// Runs a container in this process, which must have a single thread, from its start to its end.
///
/// Mount and user namespaces of the process change. Foreground: the guest's output is written to the process's standard
/// streams, and the signals it gets are passed on to the guest.
pub fn run(store: &Store, id: &ContainerId, start: Start) -> Result<Exit, Error> {
    let root = store.root();
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let spec = state::load_spec(root, id)?;
    let loading = match spec.engine {
        EngineKind::Wasm => wasm::Loading::begin(root, &spec, &snapshot_of(store, &spec)),
        EngineKind::Native => None,
    };
    let paths = root.container(id);
    let mut undo = Undo::new();
    let (container, monitor, listener, term) = match start.seat {
        None => {
            let Owned { container, state, monitor } = ownership::take(root, id)?;
            let run = paths.run().to_owned();
            undo.push(move || drop(sys::remove_tree(&run)));
            ownership::check_startable(&state)?;
            let listener = client::listen(&paths.control_socket())?;
            // from here on, when the state's lock is dropped, whoever finds the other one taken can talk to us
            (container, monitor, listener, None)
        }
        Some(seat) => {
            let of_seat = root.container(id);
            undo.push(move || drop(restart::clear_run(&of_seat)));
            let state = state::apply(root, id, |s| s.beginning(std::process::id()))?;
            let container = Container { spec: spec.clone(), state };
            client::listen_again(&seat.listener).map_err(|source| Error::Watch { source })?;
            (container, seat.monitor, seat.listener, Some(seat.term))
        }
    };
    let mut life = Life {
        store,
        root,
        container: &container,
        paths: &paths,
        listener: Some(listener),
        loading,
        term,
    };
    let observe = start.observe;
    observe(Step::Owned);
    let begun = life.begin(start.foreground, start.client, start.size, &signals, observe);
    let mut session = match begun {
        Ok(session) => session,
        Err(error) => {
            life.failed(&error);
            drop(undo);
            drop(monitor);
            return Err(error);
        }
    };
    undo.commit();
    (start.ready)();
    life.follow(&mut session, monitor, observe)
}

struct Life<'a> {
    store: &'a Store,
    root: &'a Root,
    container: &'a Container,
    paths: &'a ContainerPaths,
    listener: Option<OwnedFd>,
    /// What is most likely run.
    loading: Option<wasm::Loading>,
    term: Option<Term>,
}

impl<'a> Life<'a> {
    /// Everything up to a running guest, each act with its undo.
    fn begin<'s>(
        &mut self,
        foreground: bool,
        client: Option<OwnedFd>,
        size: (u16, u16),
        signals: &'s SignalQueue,
        observe: &mut dyn FnMut(Step),
    ) -> Result<Session<'s>, Error>
    where
        'a: 's,
    {
        let (root, spec) = (self.root, &self.container.spec);
        let snapshot = snapshot_of(self.store, spec);
        let mut undo = Undo::new();
        let mut resolved = mounts::resolve(root, spec)?;
        mounts::share(&mut resolved)?;
        // outside of the mount namespace: others are to see the namespaces that are mounted
        let id = self.container.id();
        undo.push(move || drop(net::detach(root, id)));
        let name = &self.container.state.name;
        let mut entered = net::rootless::enter(root, spec)?;
        let chosen = entered
            .as_ref()
            .map(|entered| ContainerSpec { ports: entered.ports(), ..spec.clone() });
        let wanted = chosen.as_ref().unwrap_or(spec);
        let mut attached = net::attach(root, wanted, name, &mut |_| Ok(()))?;
        let mut held = std::mem::take(&mut attached.reserved);
        held.extend(entered.iter_mut().flat_map(net::rootless::Entered::held));
        let names = net::names::serve(root, spec, &mut attached)
            .map_err(|source| Error::Names { source })?;
        let news = match &attached.channel {
            Some(_) => Some(net::channel().map_err(|source| Error::Tell { source })?),
            None => None,
        };
        let (news, guests) = news.unzip();
        attached.news = guests;
        observe(Step::Attached);
        // no other thread from here on: an engine forks
        let loaded = self.loading.take().and_then(wasm::Loading::finish);
        let layer = match &loaded {
            Some(loaded)
                if spec.mounts.is_empty()
                    && loaded.may_live_in_a_layer()
                    && !has_program_as_check(spec) =>
            {
                snapshot.single_layer()
            }
            _ => None,
        };
        if layer.is_none() {
            net::rootless::separate(entered.as_ref(), || has_other_owners(self.store, spec))?;
        }
        observe(Step::Separated);
        if layer.is_none() && snapshot::mount(&snapshot, spec.auto_remove)? == Mounted::Overlay {
            undo.push(|| unmount(&snapshot.target));
        }
        let rootfs = layer.unwrap_or(&snapshot.target);
        mounts::fill_volumes(self.root, spec, rootfs)?;
        mounts::set_owners(spec, rootfs, &mut resolved)?;
        let log = Log::open(&self.paths.log(), &spec.log)?;
        let (stdio, ends) = streams::make(&spec.process, size)?;
        observe(Step::Mounted);
        undo.push(move || drop(reconcile::clear_engine(root, spec)));
        let launch = Launch {
            root: self.root,
            spec,
            rootfs,
            rootfs_is_layer: layer.is_some(),
            mounts: &resolved,
            stdio,
            network: &attached,
        };
        let mut guest = match spec.engine {
            EngineKind::Native => native::start(launch)?,
            EngineKind::Wasm => wasm::start(launch, loaded)?,
        };
        // the guest has it; while we have it too, its end would not show
        (attached.channel, attached.news) = (None, None);
        let ear = news.map(|channel| -> Result<_, Error> {
            let told = Surroundings::of(root, spec, &attached.endpoints)?;
            let everywhere = std::mem::take(&mut guest.everywhere);
            Ok(Ear { channel, pid: guest.pid, everywhere, told })
        });
        let process = Process::open(guest.pid).map_err(|source| Error::Watch { source })?;
        let pid = guest.pid;
        let mut running = RunningGuest {
            pid,
            monitor: std::process::id(),
            ports: match &spec.network {
                NetworkMode::Networks(_) if attached.has_bridges_only() => attached.ports.clone(),
                NetworkMode::None | NetworkMode::Container(_) => Vec::new(),
                // the guest listens itself
                _ if spec.engine == EngineKind::Wasm => published(&spec.ports, &guest),
                _ => Vec::new(),
            },
            lacking: std::mem::take(&mut guest.lacking),
            restart_count: self.term.as_ref().map_or(0, |term| term.restarts),
            placement: attached.placement,
            unmounted: layer.is_some(),
        };
        if entered.as_ref().is_some_and(|entered| entered.uplink.is_none()) {
            running.lacking.push(net::rootless::no_uplink());
        }
        undo.push(move || end(pid));
        if spec.engine == EngineKind::Wasm {
            cgroup::apply_to_wasm(root, &spec.id, &spec.limits, pid)
                .map_err(native::Error::from)?;
        }
        observe(Step::Started);
        let ends = streams::of_guest(ends, &mut guest, &spec.process)?;
        let failed =
            |e: rustix::io::Errno| Error::Stream { operation: "take the input", source: e.into() };
        let stdin_once = foreground || client.is_some();
        let stdin = ends.stdin.map(Sink::own).transpose().map_err(failed)?;
        let feeds = spec.process.open_stdin;
        let clients = client.map(|fd| Client::attached(fd, feeds)).transpose().map_err(failed)?;
        let ports = running.ports.clone();
        let state = state::apply(self.root, &spec.id, |s| s.running(running))?;
        let place =
            Place { root, spec, pid, placement: attached.placement, unmounted: layer.is_some() };
        let probes = Probes::begin(place, ports, &state);
        told::start(root, spec, &state, &attached.endpoints, stdin_once);
        let is_wasm = spec.engine == EngineKind::Wasm;
        let further = is_wasm.then(|| Further { place, children: Vec::new() });
        observe(Step::Recorded);
        undo.commit();
        let publication = net::Publication::new(held, &attached.endpoints);
        let (ear, places) = (ear.transpose()?, attached.endpoints);
        Ok(Session {
            guest: Guarded::new(self.root, spec, process).with(guest.last_words.take()),
            outputs: ends.outputs,
            stdin,
            stdin_once,
            stdin_ends: false,
            own: foreground.then(|| streams::own(&spec.process)),
            listener: self.listener.take(),
            clients: clients.into_iter().collect(),
            signals,
            log: Some(log),
            terminal: spec.process.tty,
            kill_at: None,
            stop_signal: stop_signal(spec),
            was_stopped: false,
            stop_asked: false,
            names,
            networks: Some(Networks { root, spec, places, guest: ear }),
            denials: attached.denials,
            one_id: OneId::watch(spec),
            publication,
            probes,
            further,
            starts_again: false,
            _rootless: entered,
        })
    }

    /// Everything from a running guest to the end.
    fn follow(
        &self,
        session: &mut Session,
        monitor: Lock,
        observe: &mut dyn FnMut(Step),
    ) -> Result<Exit, Error> {
        let spec = &self.container.spec;
        let code = session.run().map_err(|source| Error::Watch { source })?;
        observe(Step::Ended);
        session.remark(code);
        let exit = Exit { code, oom_killed: session.guest.ran_out_of_memory(), error: None };
        let again = session.starts_again && self.term.as_ref().is_some_and(Term::has_keeper);
        let goes_on = !session.was_stopped && (again || self.goes_on(&exit));
        // before the record of it: nobody probes a guest that has ended
        let health = session.probes.take().map(|probes| probes.health().clone());
        // a container that vanishes now needs no record of its end
        let state = match spec.auto_remove {
            true => state::now(self.root, &spec.id),
            false => state::apply(self.root, &spec.id, |s| {
                s.health = health;
                if goes_on {
                    return s.restarting(exit.clone());
                }
                s.exited(exit.clone())?;
                s.stopped = session.was_stopped;
                Ok(())
            }),
        };
        if let Ok(state) = &state {
            let places = session.networks.as_ref().map_or(&[][..], |networks| &networks.places);
            told::end(self.root, spec, state, places, &exit, session.stop_asked);
        }
        let recorded = if spec.auto_remove { Ok(()) } else { state.map(drop) };
        session.end_further();
        session.announce(&exit, goes_on);
        observe(Step::Announced);
        // whoever waits for this process may want the ports at once
        session.publication = net::Publication::default();
        let mut links = net::Links::default();
        let departed = net::depart(self.root, &spec.id, spec.auto_remove).map(|left| links = left);
        let cleared = reconcile::clear_engine(self.root, spec).and(departed.map_err(Into::into));
        session.farewell();
        observe(Step::Cleared);
        // what is not written or cleared is left with the mark of unfinished work, and the next command tries again
        let left = recorded
            .map_err(reconcile::Error::from)
            .and(cleared)
            .and_then(|()| self.leave(session.own.is_some(), Some(monitor), links));
        session.own.as_ref().map_or(Ok(()), Own::written)?;
        // the guest's exit code matters more than that
        match left {
            Ok(()) => Ok(exit),
            Err(e) => Ok(Exit { error: Some(super::report::in_one_line(&e)), ..exit }),
        }
    }

    /// Removes what a monitor leaves last, the quick part at once. What the kernel takes its time for, nobody has to wait
    /// for: unmounting an overlay that is not volatile syncs a whole file system (28 ms where this was measured), removing
    /// a directory discards its block on some disks (3 ms each). In the foreground somebody does wait for this process.
    /// So is a link that outlives its container (20 ms); removing it does not keep the container's lock.
    fn leave(
        &self,
        foreground: bool,
        monitor: Option<Lock>,
        links: net::Links,
    ) -> Result<(), reconcile::Error> {
        if !self.container.spec.auto_remove {
            match self.term.as_ref().is_some_and(Term::has_keeper) {
                true => restart::clear_run(self.paths)?,
                false => sys::remove_tree(self.paths.run())?,
            }
            // the root file system stays mounted until the mount namespace goes with its last process
            return behind(foreground, || {
                drop(monitor);
                Ok(links.remove()?)
            });
        }
        let id = self.container.id();
        // kept until the folder is gone, so that nobody else removes it as well; the name may have changed since
        let state = state::Locked::take(self.root, id)?;
        let hidden = reconcile::hide(self.root, self.container, &state.state().name, true);
        // what a child that is killed leaves is removed by the sweeper
        let deleted = behind(foreground, || {
            unmount(&self.paths.rootfs());
            sys::remove_tree(self.paths.data())?;
            drop((state, monitor));
            Ok(links.remove()?)
        });
        hidden.and(deleted)
    }

    /// Writes down why there is no guest, or removes a container that was to be removed anyway.
    fn failed(&self, error: &Error) {
        let id = self.container.id();
        if self.container.spec.auto_remove {
            // the cause is reported; what remains is found by the next command
            let _ = self.leave(false, None, net::Links::default());
            return;
        }
        // Docker's, where it was neither the command's fault
        let code = if error.exit_code() == 125 { 128 } else { error.exit_code() };
        let error = Some(error.in_one_line());
        let exit = Exit { code, oom_killed: false, error };
        // see above
        let again = self.goes_on(&exit);
        let _ = state::apply(self.root, id, |s| s.start_failed(exit, again));
    }

    /// Whether somebody starts the container again after this end.
    fn goes_on(&self, exit: &Exit) -> bool {
        self.term.as_ref().is_some_and(|term| term.goes_on(exit))
    }
}

/// Does something in a child where somebody waits for this process.
fn behind(
    foreground: bool,
    work: impl FnOnce() -> Result<(), reconcile::Error>,
) -> Result<(), reconcile::Error> {
    let mut work = Some(work);
    let mut act = || work.take().map_or(Ok(()), |work| work());
    match foreground && process::leave_behind(|| drop(act())) {
        true => Ok(()),
        false => act(),
    }
}

fn stop_signal(spec: &ContainerSpec) -> i32 {
    let own = spec.process.stop_signal.as_ref().and_then(|text| text.parse::<Signal>().ok());
    own.unwrap_or(Signal::TERM).number()
}

/// The parts of a container's root file system.
pub(crate) fn snapshot_of(store: &Store, spec: &ContainerSpec) -> Snapshot {
    let paths = store.root().container(&spec.id);
    let layers = &spec.image.layers;
    Snapshot {
        lower: layers.iter().rev().map(|chain| store.layer_path(chain)).collect(),
        upper: paths.upper(),
        work: paths.work(),
        target: paths.rootfs(),
    }
}

/// Whether a guest may meet or make files of others than root. Where it does not, an ordinary user's namespace is made faster.
fn has_other_owners(store: &Store, spec: &ContainerSpec) -> bool {
    spec.engine == EngineKind::Native
        || !matches!(&*spec.process.user, "" | "0" | "root" | "0:0" | "root:root")
        || !spec.mounts.is_empty()
        || spec.image.layers.iter().any(|layer| store.has_other_owners(layer))
}

/// Whether its health is probed by a program, which needs files.
fn has_program_as_check(spec: &ContainerSpec) -> bool {
    let test = spec.active_healthcheck().and_then(|check| check.test().ok().flatten());
    matches!(test, Some(HealthTest::Exec(_) | HealthTest::Shell(_)))
}

/// In our own mount namespace; what cannot be unmounted goes when we end.
fn unmount(rootfs: &std::path::Path) {
    let _ = rustix::mount::unmount(rootfs, rustix::mount::UnmountFlags::DETACH);
}

/// Runs a container on this process's own standard streams.
pub fn run_in_foreground(store: &Store, id: &ContainerId) -> Result<Exit, Error> {
    process::close_noted();
    let size = terminal::size(rustix::stdio::stdout()).unwrap_or(super::spawn::DEFAULT_SIZE);
    let start = Start {
        foreground: true,
        client: None,
        size,
        seat: None,
        ready: &mut || {},
        observe: &mut |_| {},
    };
    run(store, id, start)
}

/// Ends a guest whose start is undone.
fn end(pid: u32) {
    if let Ok(process) = Process::open(pid) {
        let _ = process.signal(Signal::KILL);
        let _ = process.reap();
    }
}

/// The ports with what the engine chose filled in.
fn published(ports: &[Port], guest: &Guest) -> Vec<Port> {
    let mut published = ports.to_vec();
    let mut used = vec![false; guest.ports.len()];
    for port in published.iter_mut().filter(|p| p.protocol == Protocol::Tcp) {
        let matches = |(at, (container, address)): &(usize, &(u16, SocketAddr))| {
            !used[*at]
                && *container == port.container_port
                && (port.host_port.is_none() || port.host_ports().contains(&address.port()))
        };
        if let Some((at, (_, address))) = guest.ports.iter().enumerate().find(matches) {
            *port = port.with_host_port(address.port());
            used[at] = true;
        }
    }
    published
}
