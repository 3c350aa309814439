use super::log::Stream;
use super::report::{self, Failure, Kind};
use crate::engine::{native, wasm};
use crate::sys::signal::InvalidSignal;
use crate::{net, reconcile, state, volume};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::store;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;

/// Why a container does not start, or a monitor does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("container {} is running already", id.short())]
    AlreadyRunning { id: ContainerId },
    #[error("{} does not exist, and is to be mounted at {target}", path.display())]
    MountSource { path: PathBuf, target: String },
    #[error("{}, which is to be mounted at {target}, is not given to anybody: this host needs it as it is", path.display())]
    GiveSystem { path: PathBuf, target: String },
    #[error("cannot give {} to user {uid} and group {gid}", path.display())]
    Give { path: PathBuf, uid: u32, gid: u32, source: io::Error },
    #[error("the mount at {target} cannot be shown under other ids: this takes the superuser")]
    IdmapOfUser { target: String },
    #[error("path {} is mounted on {} but it is not a {wanted} mount", path.display(), mount_point.display())]
    NoPropagation { path: PathBuf, mount_point: PathBuf, wanted: &'static str },
    #[error("the mount at {target} cannot be shared with the host: this takes the superuser")]
    SharedOfUser { target: String },
    #[error("cannot listen on {}", path.display())]
    ControlSocket { path: PathBuf, source: io::Error },
    #[error("cannot {operation} of the guest")]
    Stream { operation: &'static str, source: io::Error },
    /// The container is not concerned: what it wrote is in its log.
    #[error("cannot write to standard {stream}")]
    Output { stream: &'static str, source: io::Error },
    #[error("three signals, and the container goes on: it is left")]
    Left { id: ContainerId },
    #[error("cannot receive signals")]
    Signals { source: io::Error },
    #[error("cannot signal the guest")]
    Signal { source: io::Error },
    #[error("cannot wait for the guest's end")]
    Watch { source: io::Error },
    #[error("cannot enter the container's files")]
    Enter { source: io::Error },
    #[error("cannot start a monitor for container {}", id.short())]
    Spawn { id: ContainerId, source: io::Error },
    #[error("the monitor of container {} ended before the guest was ready", id.short())]
    Vanished { id: ContainerId },
    #[error("container {} is not running", id.short())]
    NotRunning { id: ContainerId },
    #[error("the monitor of container {} does not answer", id.short())]
    Silent { id: ContainerId },
    #[error("cannot talk to the monitor of container {}", id.short())]
    Talk { id: ContainerId, source: io::Error },
    #[error("the monitor of container {} gave an answer that has no meaning here", id.short())]
    Nonsense { id: ContainerId },
    #[error("cannot {operation}")]
    Terminal { operation: &'static str, source: io::Error },
    /// An error of another process.
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error(transparent)]
    InvalidSignal(#[from] InvalidSignal),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Reconcile(#[from] reconcile::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Volume(#[from] volume::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error("cannot serve the container's names")]
    Names { source: io::Error },
    #[error("cannot tell the guest of its networks")]
    Tell { source: io::Error },
    #[error("cannot listen on the container's ports at its new address")]
    Listen { source: io::Error },
    #[error(transparent)]
    Native(#[from] native::Error),
    #[error(transparent)]
    Wasm(#[from] wasm::Error),
}

impl Error {
    pub(super) fn output(stream: Stream, error: Errno) -> Self {
        let stream = match stream {
            Stream::Stdout => "output",
            Stream::Stderr => "error",
        };
        Self::Output { stream, source: error.into() }
    }

    /// Docker's meanings: 127 the command was not found, 126 it cannot be executed, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(failure) => failure.exit_code(),
            Self::Native(e) => e.exit_code(),
            Self::Wasm(e) => e.exit_code(),
            Self::Output { .. } | Self::Left { .. } => 1,
            _ => 125,
        }
    }

    /// For another process.
    pub fn to_failure(&self) -> Failure {
        let kind = match self {
            Self::AlreadyRunning { .. } => Kind::AlreadyRunning,
            Self::State(state::Error::Gone { .. })
            | Self::Reconcile(reconcile::Error::State(state::Error::Gone { .. })) => Kind::Gone,
            _ => Kind::Other,
        };
        Failure::new(self, self.hint(), self.exit_code()).of_kind(kind)
    }

    /// For the record.
    pub(super) fn in_one_line(&self) -> String {
        report::in_one_line(self)
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::MountSource { path, .. } => {
                Some(format!("create it first, or use -v {}:…, which does", path.display()))
            }
            Self::GiveSystem { .. } => {
                Some("leave ':U' out, or mount a directory of the container's own".into())
            }
            Self::Give { .. } => Some(
                "an ordinary user cannot give files away, nor take those of others: run it as root inside (--user 0)"
                    .into(),
            ),
            Self::IdmapOfUser { .. } => Some(
                "leave idmap out: your files are root's in your own containers anyhow".into(),
            ),
            Self::NoPropagation { mount_point, .. } => Some(format!(
                "share what is mounted below it first: mount --make-rshared {}",
                mount_point.display()
            )),
            Self::SharedOfUser { .. } => {
                Some("rslave lets the host's mounts arrive in the container".into())
            }
            Self::NotRunning { id } => Some(format!("start it: knarr start {}", id.short())),
            Self::Left { id } => Some(format!("knarr kill {} ends it", id.short())),
            Self::AlreadyRunning { .. } => None,
            Self::Silent { id } => {
                Some(format!("'knarr stop {0}' or 'knarr rm -f {0}' ends it anyway", id.short()))
            }
            Self::Failed(e) => e.hint(),
            Self::InvalidSignal(e) => e.hint(),
            Self::State(e) => e.hint(),
            Self::Reconcile(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Volume(e) => e.hint(),
            Self::Net(e) => e.hint(),
            Self::Native(e) => e.hint(),
            Self::Wasm(e) => e.hint(),
            _ => None,
        }
    }
}
