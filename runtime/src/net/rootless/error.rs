use crate::engine::UserNamespaces;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use std::io;

/// Why an ordinary user's networks cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("an ordinary user's containers need a user namespace")]
    Separate(#[source] fsx::Error),
    #[error("cannot {operation}")]
    System { operation: &'static str, source: io::Error },
    #[error("the networks of this user cannot be made: {}", message.trim())]
    Keeper { message: String },
    #[error("cannot clear away a container's place on its networks: {}", message.trim())]
    Inside { message: String },
    #[error("port {port}/sctp cannot be published by an ordinary user")]
    Protocol { port: u16 },
    #[error("the keeper of the networks ends as soon as it starts")]
    Unsteady,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Keeper { .. } | Self::System { .. } => {
                let remedy = UserNamespaces::detect().remedy();
                Some(remedy.unwrap_or("run it with --network host or none").to_owned())
            }
            Self::Separate(_) => {
                let remedy = UserNamespaces::detect().remedy();
                Some(remedy.unwrap_or("run knarr as the superuser").to_owned())
            }
            _ => None,
        }
    }
}

/// Names what was being done.
pub(super) trait Doing<T> {
    fn doing(self, operation: &'static str) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, operation: &'static str) -> Result<T, Error> {
        self.map_err(|e| Error::System { operation, source: e.into() })
    }
}
