use super::{list, options};
use crate::engine::{native, wasm};
use crate::state::{ContainerState, Status};
use crate::sys::signal::InvalidSignal;
use crate::{monitor, net, reconcile, state, volume};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::image::Digest;
use knarr_core::record;
use knarr_core::store;
use std::io;

/// Why something could not be done with a container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("container {name} is not running")]
    NotRunning { name: String },
    #[error("container {name} is running")]
    Running { name: String },
    #[error("container {name} is paused")]
    Paused { name: String },
    #[error("container {name} is restarting")]
    Restarting { name: String },
    #[error("layer {chain} of the image is not unpacked")]
    LayerMissing { chain: Digest },
    #[error("cannot show the log")]
    ShowLog { source: io::Error },
    #[error("cannot follow the log")]
    FollowLog { source: io::Error },
    #[error("cannot show the events")]
    ShowEvents { source: io::Error },
    #[error("cannot follow the events")]
    FollowEvents { source: io::Error },
    #[error("cannot list the processes with 'ps {options}'")]
    Ps { options: String, source: io::Error },
    #[error("cannot {operation} {path}")]
    Copy { operation: &'static str, path: String, source: io::Error },
    #[error("{path} does not exist")]
    NoSuchPath { path: String },
    #[error("{path} is not a directory")]
    NotADirectory { path: String },
    #[error("{path} is a directory")]
    IsADirectory { path: String },
    #[error("{path} leads out of the directory that it is copied to")]
    Outside { path: String },
    #[error(transparent)]
    Options(#[from] options::Error),
    #[error(transparent)]
    Filter(#[from] list::InvalidFilter),
    #[error(transparent)]
    Signal(#[from] InvalidSignal),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Reconcile(#[from] reconcile::Error),
    #[error(transparent)]
    Monitor(#[from] monitor::Error),
    #[error(transparent)]
    Volume(#[from] volume::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Native(#[from] native::Error),
    #[error(transparent)]
    Wasm(#[from] wasm::Error),
}

impl Error {
    /// Of a container that has no guest: one that waits for its next life will have one.
    pub(super) fn not_running(state: &ContainerState) -> Self {
        let name = state.name.clone();
        match state.status {
            Status::Restarting => Self::Restarting { name },
            _ => Self::NotRunning { name },
        }
    }

    /// What `run` and `exec` end with: 127 the command was not found, 126 it cannot be executed, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Monitor(e) => e.exit_code(),
            Self::Native(e) => e.exit_code(),
            Self::Wasm(e) => e.exit_code(),
            _ => 125,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { name } => Some(format!("start it: knarr start {name}")),
            Self::Running { name } => {
                Some(format!("stop it first (knarr stop {name}), or force with -f"))
            }
            Self::Paused { name } => Some(format!("let it go on: knarr unpause {name}")),
            Self::Restarting { name } => Some(format!(
                "wait until it runs, or end it with 'knarr stop {name}'; 'knarr logs {name}' may tell why it does not last"
            )),
            Self::LayerMissing { .. } => Some("pull the image again".into()),
            Self::NotADirectory { path } => {
                Some(format!("leave the slash at its end out, or make the directory {path} first"))
            }
            Self::IsADirectory { .. } => Some("name a file, or a directory to put it in".into()),
            Self::Ps { .. } => {
                Some("leave the options out: then no other program is needed".into())
            }
            Self::Options(e) => e.hint(),
            Self::Filter(e) => e.hint(),
            Self::Signal(e) => e.hint(),
            Self::State(e) => e.hint(),
            Self::Reconcile(e) => e.hint(),
            Self::Monitor(e) => e.hint(),
            Self::Net(e) => e.hint(),
            Self::Volume(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Native(e) => e.hint(),
            Self::Wasm(e) => e.hint(),
            _ => None,
        }
    }
}
