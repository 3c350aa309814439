//! Why a native container could not start.

use super::isolation::Refusal;
use crate::engine::{BindError, UserNamespaces, cgroup};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::sys::lacking_ids;
use std::io;

/// A native container that could not be started, entered or cleared away.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{command:?}: no such file in the container's PATH")]
    CommandNotFound { command: String },
    #[error("{command:?} does not exist in the container")]
    PathNotFound { command: String },
    #[error("{command:?} exists, but what is to interpret it does not")]
    NoInterpreter { command: String },
    #[error("{command:?} cannot be executed")]
    NotExecutable { command: String, source: io::Error },
    #[error("the image names no command, and none was given")]
    NoCommand,
    #[error(
        "--allow-outbound needs a network of the container's own, and this one shares another's"
    )]
    OutboundOfOthers,
    #[error("--allow-outbound restricts nobody who has the capability {name}")]
    OutboundWithCapability { name: String },
    #[error("{target} cannot be mounted: it lies in /proc, which is the kernel's")]
    MountInProc { target: String },
    #[error("ended by signal {signal} before the command ran")]
    Interrupted { signal: i32 },
    #[error("cannot change to the working directory {path} of the container")]
    WorkingDirectory { path: String, source: io::Error },
    #[error("{name:?} is not a user of the image")]
    NoSuchUser { name: String },
    #[error("{name:?} is not a group of the image")]
    NoSuchGroup { name: String },
    #[error("{path} of the image is not a usable user database")]
    UserDatabase { path: &'static str, source: io::Error },
    #[error("{name:?} is not a capability")]
    UnknownCapability { name: String },
    #[error("CAP_{name} cannot be given: knarr does not have it itself")]
    MissingCapability { name: String },
    #[error("the seccomp profile is not valid")]
    SeccompSyntax { source: serde_json::Error },
    #[error("the seccomp profile is not valid: {what}")]
    SeccompProfile { what: String },
    #[error("{what} contains a zero byte")]
    ZeroByte { what: &'static str },
    #[error("ulimit {name}: {asked} is above this process's own hard limit of {hard}")]
    LimitAboveHard { name: String, asked: String, hard: u64 },
    #[error("{name:?} is not a ulimit")]
    UnknownLimit { name: String },
    #[error(
        "native containers of an ordinary user need a user namespace, and this process is in none"
    )]
    NotInUserNamespace { namespaces: UserNamespaces },
    #[error("{user} of the image does not exist in this user's namespace")]
    UserNotMapped { user: String },
    #[error("the container has stopped")]
    NotRunning { source: io::Error },
    /// A step of the set-up, in the parent or in the child.
    #[error("cannot {operation} {subject}")]
    Setup { operation: String, subject: String, source: io::Error },
    #[error("the process that sets up the container ended before it was ready")]
    Vanished,
    #[error(transparent)]
    Isolation(#[from] Refusal),
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Error {
    /// Docker's exit codes: 127 the command was not found, 126 it cannot be executed, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::CommandNotFound { .. }
            | Self::PathNotFound { .. }
            | Self::NoInterpreter { .. } => 127,
            Self::NotExecutable { .. } | Self::WorkingDirectory { .. } => 126,
            Self::Interrupted { signal } => {
                128u8.saturating_add(u8::try_from(*signal).unwrap_or(127))
            }
            _ => 125,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::CommandNotFound { command } if command.starts_with('-') => {
                Some("options go before the image (run, create) or the container (exec): what follows it is the command".into())
            }
            Self::CommandNotFound { .. } | Self::PathNotFound { .. } => {
                Some("look what the image has: 'knarr inspect IMAGE' shows its command".into())
            }
            Self::NotExecutable { source, .. } => match source.raw_os_error() {
                Some(libc::ENOEXEC) => Some(
                    "it is no program for this processor, or a script without a '#!' line".into(),
                ),
                Some(libc::EACCES) => Some("make it executable in the image: chmod +x".into()),
                _ => None,
            },
            Self::NoInterpreter { .. } => Some(
                "look at its '#!' line (Windows line ends?), or install the loader it is linked against"
                    .into(),
            ),
            Self::OutboundOfOthers => {
                Some("leave --network out, or name a network: --network NAME".into())
            }
            Self::OutboundWithCapability { name } => {
                Some(format!("leave --privileged and --cap-add {name} out"))
            }
            Self::MountInProc { .. } => {
                Some("mount it elsewhere; if the image's VOLUME asks for it, the image is not to be run".into())
            }
            Self::NoCommand => Some("append a command: knarr run IMAGE COMMAND".into()),
            Self::NoSuchUser { .. } | Self::NoSuchGroup { .. } => {
                Some("use numbers (--user 1000:1000), or add it to the image".into())
            }
            Self::UnknownCapability { .. } => {
                Some("write it as in capabilities(7), for example NET_ADMIN".into())
            }
            Self::MissingCapability { .. } => {
                Some("run knarr as the superuser, outside of a container that drops it".into())
            }
            Self::LimitAboveHard { hard, .. } => Some(format!("ask for {hard} at most, or raise the limit of the shell that runs knarr")),
            Self::NotInUserNamespace { namespaces } => {
                Some(namespaces.remedy().unwrap_or("run knarr as the superuser").into())
            }
            Self::UserNotMapped { .. } => Some(match lacking_ids() {
                Some(lacking) => format!("{lacking}; or run it as root inside, which is you outside (--user 0)"),
                None => "give this user more ids in /etc/subuid and /etc/subgid, or run it as root inside (--user 0)".into(),
            }),
            Self::Setup { operation, source, .. } => setup_hint(operation, source),
            Self::Isolation(refusal) => refusal.hint(),
            Self::Cgroup(error) => error.hint(),
            Self::Bind(error) => error.hint(),
            _ => None,
        }
    }
}

fn setup_hint(operation: &str, source: &io::Error) -> Option<String> {
    match (operation, source.raw_os_error()?) {
        (_, libc::ENOSYS) => Some("native containers need Linux 5.12 or newer".into()),
        ("set the OOM score of", libc::EACCES | libc::EPERM) => Some(
            "a score below knarr's own takes the capability SYS_RESOURCE: give a higher one".into(),
        ),
        ("set", libc::EACCES | libc::EPERM | libc::EROFS) => {
            Some("this kernel lets only the host's superuser set it; leave it out".into())
        }
        ("set", libc::ENOENT) => Some("this kernel, or this network, has no such setting".into()),
        ("set", libc::EINVAL | libc::ERANGE) => Some("the kernel does not take that value".into()),
        ("join", libc::EPERM | libc::EINVAL) => Some(
            "the other container belongs to another user namespace: make both as the superuser"
                .into(),
        ),
        ("create the container's process in", libc::EPERM) => {
            Some("run knarr as the superuser, or allow user namespaces to this user".into())
        }
        ("create the container's process in", libc::ENOSPC) => {
            Some("raise the limits under /proc/sys/user/, for example max_mnt_namespaces".into())
        }
        _ => None,
    }
}

/// Names a step of the set-up in the error of a system call.
pub(super) trait Doing<T> {
    fn doing(self, operation: &'static str, subject: impl std::fmt::Display) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, operation: &'static str, subject: impl std::fmt::Display) -> Result<T, Error> {
        self.map_err(|error| Error::Setup {
            operation: operation.to_owned(),
            subject: subject.to_string(),
            source: error.into(),
        })
    }
}
