//! What can go wrong with a container's record.

use super::Status;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::record;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no container {text:?}")]
    NotFound { text: String },
    #[error("{prefix:?} is the start of several container ids: {}", candidates.join(", "))]
    Ambiguous { prefix: String, candidates: Vec<String> },
    #[error("{name:?} is not a valid container name")]
    InvalidName { name: String },
    #[error("the name {name:?} is used by container {}", owner.short())]
    NameTaken { name: String, owner: ContainerId },
    #[error("no name was free in {attempts} attempts")]
    NamesExhausted { attempts: usize },
    #[error("container {} is {from}, and cannot become {to}", id.short())]
    IllegalTransition { id: ContainerId, from: Status, to: Status },
    #[error("the record of container {} is damaged", id.short())]
    Damaged { id: ContainerId, source: record::Error },
    #[error("container {} was removed", id.short())]
    Gone { id: ContainerId },
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("'knarr ps -a' lists all containers".into()),
            Self::Ambiguous { .. } => Some("give more digits, or the container's name".into()),
            Self::InvalidName { name }
                if name.len() == 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) =>
            {
                Some("a name has two characters at least".into())
            }
            Self::InvalidName { .. } => Some(
                "begin with a letter or a digit, and go on with letters, digits, '_', '.' and '-'"
                    .into(),
            ),
            Self::NameTaken { name, .. } => Some(format!(
                "take another name, or free this one: knarr rm {name}, or knarr rename {name} OTHER"
            )),
            Self::Damaged { id, .. } => {
                Some(format!("remove it with 'knarr rm -f {}'", id.short()))
            }
            Self::Record(e) => e.hint(),
            _ => None,
        }
    }
}
