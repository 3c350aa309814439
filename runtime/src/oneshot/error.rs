use crate::engine::{native, wasm};
use crate::monitor::Failure;
use crate::net;
use knarr_core::hint::Hint;
use knarr_core::{fsx, store};
use std::io;

/// Why a step could not be run, or what ran of it has no meaning.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the step was cancelled")]
    Cancelled,
    #[error("cannot start the process that runs the step")]
    Spawn { source: io::Error },
    #[error("the process that runs the step was ended by something else ({how})")]
    Vanished { how: String },
    #[error("the request for a step has no meaning here")]
    Nonsense { source: serde_json::Error },
    #[error("this host refuses overlays, in which a step's changes are kept")]
    NoOverlay { source: store::Error },
    #[error("{path} does not exist in the tree that is to be mounted at {target}")]
    NoSource { path: String, target: String },
    #[error("cannot {operation} {subject}")]
    Mount { operation: &'static str, subject: String, source: io::Error },
    #[error("cannot {operation}")]
    System { operation: &'static str, source: io::Error },
    /// An error of the helper.
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error(transparent)]
    Native(#[from] native::Error),
    #[error(transparent)]
    Wasm(#[from] wasm::Error),
}

impl Error {
    pub(super) fn system(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System { operation, source: source.into() }
    }

    /// Docker's meanings: 127 the command was not found, 126 it cannot be executed, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(failure) => failure.exit_code(),
            Self::Native(e) => e.exit_code(),
            Self::Wasm(e) => e.exit_code(),
            _ => 125,
        }
    }

    /// For another process.
    pub(super) fn to_failure(&self) -> Failure {
        Failure::new(self, self.hint(), self.exit_code())
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoOverlay { .. } => {
                Some("build as the superuser, or allow user namespaces to this user".into())
            }
            Self::Vanished { .. } => {
                Some("if it was killed for want of memory, build fewer stages at once".into())
            }
            Self::Failed(e) => e.hint(),
            Self::File(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Net(e) => e.hint(),
            Self::Native(e) => e.hint(),
            Self::Wasm(e) => e.hint(),
            _ => None,
        }
    }
}
