use super::options::InvalidOption;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::record;
use std::io;
use std::path::PathBuf;

/// Why something could not be done with a volume.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no volume {name:?}")]
    NotFound { name: String },
    #[error("{name:?} is not a valid volume name")]
    InvalidName { name: String },
    #[error("volume {name} is used by {}", users.join(", "))]
    InUse { name: String, users: Vec<String> },
    #[error("volume {name} is in use by {}, which runs", users.join(", "))]
    Running { name: String, users: Vec<String> },
    #[error("volume {name} exists, with other options")]
    OtherOptions { name: String },
    #[error(transparent)]
    Option(#[from] InvalidOption),
    #[error("{} of volume {name} is not a directory of this host", device.display())]
    NoDevice { name: String, device: PathBuf },
    #[error("volume {name} is memory, which an ordinary user cannot mount for several containers")]
    MemoryOfUser { name: String },
    #[error("cannot mount the memory of volume {name}")]
    Memory { name: String, source: io::Error },
    #[error("cannot copy the image's {target} into volume {volume}")]
    CopyUp { volume: String, target: String, source: io::Error },
    #[error("cannot read volume {name}")]
    Export { name: String, source: io::Error },
    #[error("cannot unpack {path} into volume {name}")]
    Import { name: String, path: String, source: io::Error },
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("'knarr volume ls' lists all volumes".into()),
            Self::InvalidName { name }
                if name.len() == 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) =>
            {
                Some("a name has two characters at least; a folder of the host is named by its path".into())
            }
            Self::InvalidName { .. } => Some(
                "begin with a letter or a digit, and go on with letters, digits, '_', '.' and '-'; \
                 a folder of the host is named by its path, as in ./data"
                    .into(),
            ),
            Self::InUse { users, .. } => {
                Some(format!("remove the container first: knarr rm {}", users.first()?))
            }
            Self::Running { users, .. } => {
                Some(format!("stop it first: knarr stop {}", users.first()?))
            }
            Self::OtherOptions { name } => {
                Some(format!("take another name, or remove this one first: knarr volume rm {name}"))
            }
            Self::Option(e) => e.hint(),
            Self::NoDevice { device, .. } => {
                Some(format!("make it first: mkdir -p {}", device.display()))
            }
            Self::MemoryOfUser { .. } => {
                Some("give the container memory of its own: --tmpfs PATH:size=…".into())
            }
            Self::Import { source, .. } if source.kind() == io::ErrorKind::CrossesDevices => {
                Some("an archive whose names lead out of the volume is not unpacked".into())
            }
            Self::Record(e) => e.hint(),
            Self::File(e) => e.hint(),
            _ => None,
        }
    }
}
