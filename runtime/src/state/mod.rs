//! A container's record and its legal transitions: what monitor, reconcile and the verbs stand on.
//!
//! ```text
//! <data>/containers/lock             shared: a container is being made; exclusive: the sweeper
//!                   by-name/<name>   holds the id; created O_EXCL, so that a name has one owner
//!                   <id>/spec.json   written last at create and removed first at remove: a folder without it
//!                                    is half-made or half-removed, and the sweeper deletes it
//!                        state.json  changed only through [`Locked`], which holds the folder's lock; replaced atomically
//! ```
//!
//! Records are renamed into place but not synced, unless the container has a restart policy: they survive the death of any
//! process at any moment. After a power cut the newest may be torn; such a container is listed as damaged and can be
//! removed.

mod error;
mod health;
mod lookup;
mod names;
mod sweep;
mod told;

pub use error::Error;
pub use health::{Health, HealthStatus, Probed, health};
pub(crate) use health::{of_life, write_health};
pub use lookup::{Damaged, all, find, load, load_spec};
pub(crate) use names::rename;
pub use names::{Claim, claim, generate, release, validate};
pub use sweep::{sweep, sweep_waiting};
pub(crate) use told::{event, now, tell};

use jiff::Timestamp;
use knarr_core::fsx::Durability;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record::{self, Record};
use knarr_core::root::{ContainerPaths, Root};
use knarr_core::spec::{ContainerSpec, Port};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started, or its first start failed.
    Created,
    Running,
    Paused,
    Exited,
    /// Ended, and about to be started again by its restart policy.
    Restarting,
    /// Being deleted; a deletion that was cut short is taken up again by the next command.
    Removing,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
        })
    }
}

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The guest's own exit code, or 128 and the number of the signal that ended it.
    pub code: u8,
    /// The kernel killed it because it reached its memory limit.
    pub oom_killed: bool,
    /// What Knarr has to say about it: the monitor was killed, …
    pub error: Option<String>,
}

/// What becomes known of a guest when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunningGuest {
    pub pid: u32,
    pub monitor: u32,
    pub ports: Vec<Port>,
    pub lacking: Vec<String>,
    pub restart_count: u32,
    pub unmounted: bool,
    pub placement: Placement,
}

/// How a Wasm guest is on its container's networks; it stays so when these change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On none of its own, or in a namespace that it shares with native containers only.
    #[default]
    Alone,
    /// In a network namespace with other Wasm guests. `loopback` stands for its 127.0.0.1 there.
    Shared { loopback: Option<Ipv4Addr> },
    /// On the host's network, whose loopback carries the container's own.
    Carried,
}

/// What changes about a container (`state.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    pub name: String,
    pub status: Status,
    /// The guest, in the pid namespace of its monitor; meaningful while the monitor lives.
    pub pid: Option<u32>,
    pub monitor: Option<u32>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub exit: Option<Exit>,
    /// The published ports with the host ports that were chosen.
    pub ports: Vec<Port>,
    /// Starts by a restart policy.
    pub restart_count: u32,
    /// Somebody asked it to end (`stop`, `kill`): its restart policy does not bring it back.
    #[serde(default)]
    pub stopped: bool,
    /// Walls that this host could not put up around the guest, a sentence each.
    #[serde(default)]
    pub lacking: Vec<String>,
    #[serde(default)]
    pub placement: Placement,
    /// Whoever made it runs it at once, and holds the lock of its name until then.
    #[serde(default)]
    pub for_run: bool,
    /// It runs without its root file system, as its guest cannot open files.
    #[serde(default)]
    pub unmounted: bool,
    /// It is to come back after a power cut: each change is synced.
    #[serde(default)]
    pub lasting: bool,
    /// What its probes had found out when it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl Record for ContainerState {
    const KIND: &'static str = "container state";
    const VERSION: u32 = 1;
}

/// Names a transition that the present status does not allow.
type Refused = (Status, Status);

impl ContainerState {
    pub fn created(name: String) -> Self {
        Self {
            name,
            status: Status::Created,
            pid: None,
            monitor: None,
            started: None,
            finished: None,
            exit: None,
            ports: Vec::new(),
            restart_count: 0,
            stopped: false,
            lacking: Vec::new(),
            placement: Placement::default(),
            for_run: false,
            unmounted: false,
            lasting: false,
            health: None,
        }
    }

    /// What a write of it must survive.
    pub fn durability(&self) -> Durability {
        if self.lasting { Durability::Disk } else { Durability::Process }
    }

    /// A guest exists: running or paused.
    pub fn is_alive(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }

    /// Checks what a monitor checks before it prepares a start.
    pub fn startable(&self) -> Result<(), Refused> {
        let from = [Status::Created, Status::Exited, Status::Restarting];
        self.allow(&from, Status::Running)
    }

    /// The guest runs.
    pub fn running(&mut self, guest: RunningGuest) -> Result<(), Refused> {
        self.startable()?;
        *self = Self {
            name: std::mem::take(&mut self.name),
            status: Status::Running,
            pid: Some(guest.pid),
            monitor: Some(guest.monitor),
            started: Some(Timestamp::now()),
            finished: None,
            exit: None,
            ports: guest.ports,
            restart_count: guest.restart_count,
            stopped: false,
            lacking: guest.lacking,
            placement: guest.placement,
            for_run: false,
            unmounted: guest.unmounted,
            lasting: self.lasting,
            health: self.health.take(),
        };
        Ok(())
    }

    pub fn paused(&mut self) -> Result<(), Refused> {
        self.allow(&[Status::Running], Status::Paused)?;
        self.status = Status::Paused;
        Ok(())
    }

    pub fn resumed(&mut self) -> Result<(), Refused> {
        self.allow(&[Status::Paused], Status::Running)?;
        self.status = Status::Running;
        Ok(())
    }

    /// Its guest has ended, and it will be started again.
    pub fn restarting(&mut self, exit: Exit) -> Result<(), Refused> {
        self.allow(&[Status::Running, Status::Paused], Status::Restarting)?;
        self.exited(exit)?;
        self.status = Status::Restarting;
        Ok(())
    }

    /// A monitor begins a further life: from now on it has the container's files.
    pub fn beginning(&mut self, monitor: u32) -> Result<(), Refused> {
        self.startable()?;
        self.monitor = Some(monitor);
        Ok(())
    }

    /// Whether it waits for its next life, which nobody has begun.
    pub fn waits(&self) -> bool {
        self.status == Status::Restarting && self.monitor.is_none()
    }

    /// It will not be started again after all. `stopped`: somebody wanted it so.
    pub fn given_up(&mut self, stopped: bool) -> Result<(), Refused> {
        self.allow(&[Status::Restarting], Status::Exited)?;
        self.status = Status::Exited;
        self.monitor = None;
        self.stopped = stopped;
        Ok(())
    }

    /// The guest ended.
    pub fn exited(&mut self, exit: Exit) -> Result<(), Refused> {
        self.allow(&[Status::Running, Status::Paused], Status::Exited)?;
        self.status = Status::Exited;
        self.pid = None;
        self.monitor = None;
        self.finished = Some(Timestamp::now());
        self.exit = Some(exit);
        self.ports.clear();
        Ok(())
    }

    /// No guest came to life: the container stays what it was, and says why. `again`: it is about to be tried once more.
    pub fn start_failed(&mut self, exit: Exit, again: bool) -> Result<(), Refused> {
        self.startable()?;
        if self.status == Status::Restarting && !again {
            self.status = Status::Exited;
        }
        self.monitor = None;
        self.exit = Some(exit);
        Ok(())
    }

    pub fn removing(&mut self) -> Result<(), Refused> {
        let from = [Status::Created, Status::Exited, Status::Restarting, Status::Removing];
        self.allow(&from, Status::Removing)?;
        self.status = Status::Removing;
        Ok(())
    }

    fn allow(&self, from: &[Status], to: Status) -> Result<(), Refused> {
        if from.contains(&self.status) { Ok(()) } else { Err((self.status, to)) }
    }
}

/// A container as its records have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    pub spec: ContainerSpec,
    pub state: ContainerState,
}

impl Container {
    pub fn id(&self) -> &ContainerId {
        &self.spec.id
    }
}

/// A container's state, held by this process alone: the lock is a field of what may change the file.
#[derive(Debug)]
pub struct Locked {
    id: ContainerId,
    paths: ContainerPaths,
    state: ContainerState,
    _lock: Lock,
}

impl Locked {
    /// Waits for the state's lock, and reads it.
    pub fn take(root: &Root, id: &ContainerId) -> Result<Self> {
        let paths = root.container(id);
        let lock = match Lock::exclusive_directory(paths.data()) {
            Ok(lock) => lock,
            // the folder is gone, or was never there
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Gone { id: id.clone() });
            }
            Err(e) => return Err(e.into()),
        };
        // whoever removed the container while we waited has deleted the record first
        let state = read_state(&paths, id)?.ok_or_else(|| Error::Gone { id: id.clone() })?;
        Ok(Self { id: id.clone(), paths, state, _lock: lock })
    }

    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    pub fn state(&self) -> &ContainerState {
        &self.state
    }

    /// Applies a transition and writes it; an illegal one changes nothing.
    pub fn apply(
        &mut self,
        transition: impl FnOnce(&mut ContainerState) -> Result<(), Refused>,
    ) -> Result<()> {
        let mut state = self.state.clone();
        transition(&mut state).map_err(|(from, to)| Error::IllegalTransition {
            id: self.id.clone(),
            from,
            to,
        })?;
        record::write(&self.paths.state(), &state, state.durability())?;
        self.state = state;
        Ok(())
    }

    /// Writes the other name; [`names`] has claimed it.
    pub(crate) fn set_name(&mut self, name: &str) -> Result<()> {
        self.apply(|state| {
            state.name = name.to_owned();
            // the lock was the old name's
            state.for_run = false;
            Ok(())
        })
    }
}

/// One transition under the state's lock.
pub fn apply(
    root: &Root,
    id: &ContainerId,
    transition: impl FnOnce(&mut ContainerState) -> Result<(), Refused>,
) -> Result<ContainerState> {
    let mut locked = Locked::take(root, id)?;
    locked.apply(transition)?;
    Ok(locked.state)
}

fn read_state(paths: &ContainerPaths, id: &ContainerId) -> Result<Option<ContainerState>> {
    record::read(&paths.state()).map_err(|source| damaged(id, source))
}

/// A record that cannot be parsed is damage; one that cannot be read is a failure of the machine.
fn damaged(id: &ContainerId, source: record::Error) -> Error {
    match source {
        record::Error::File(e) => Error::File(e),
        source => Error::Damaged { id: id.clone(), source },
    }
}

#[cfg(test)]
mod tests;
