//! What is to be done so that what is there becomes what is wanted: pure, and printable.
//!
//! A plan is a list of steps; each names the steps before it that must be done first. Containers are named by their names, since
//! those that a step makes have no id yet.

mod down;
mod order;
mod project;
mod up;
mod verbs;
mod wanted;

pub use down::{Down, down};
pub use project::Facts;
pub use up::{Recreate, Up, up};
pub use verbs::{Remove, kill, pause, remove, restart, start, stop, unpause};
pub use wanted::{Condition, Dependency, Named, Service, Wanted};

use std::fmt;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("the network {name} is declared external, and there is none")]
    ExternalNetwork { name: String },
    #[error("the volume {name} is declared external, and there is none")]
    ExternalVolume { name: String },
    #[error("there is a network {name} that is not this project's")]
    ForeignNetwork { name: String },
    #[error("the service {service} names its container {name}, and cannot have {scale} of it")]
    NamedAndScaled { service: String, name: String, scale: u32 },
    #[error("there is no service {service}")]
    NoSuchService { service: String },
    #[error("the services {} wait for each other", services.join(" → "))]
    Cycle { services: Vec<String> },
}

impl knarr_core::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::ExternalNetwork { name } => Some(format!("make it: knarr network create {name}")),
            Self::ExternalVolume { name } => Some(format!("make it: knarr volume create {name}")),
            Self::ForeignNetwork { .. } => {
                Some("to use it as it is, declare it with external: true".into())
            }
            Self::NamedAndScaled { .. } => Some("leave out container_name, or the number".into()),
            Self::NoSuchService { .. } => Some("knarr compose config --services lists them".into()),
            Self::Cycle { .. } => None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub on_failure: OnFailure,
    /// What the user should know before.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    /// Places in the plan's list, all before this one.
    pub after: Vec<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing more is begun.
    #[default]
    Stop,
    /// The rest is done all the same: for what is taken down.
    GoOn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    CreateNetwork {
        /// Its key under `networks`.
        key: String,
        name: String,
    },
    RemoveNetwork {
        name: String,
    },
    /// Takes a container off a network.
    Disconnect {
        container: String,
        network: String,
    },
    CreateVolume {
        key: String,
        name: String,
    },
    RemoveVolume {
        name: String,
    },
    RemoveImage {
        image: String,
    },
    Create {
        service: String,
        number: u32,
        name: String,
        /// The container whose name it is to have.
        replaces: Option<String>,
        /// The anonymous volumes of that one go on in this one.
        keeps_volumes: bool,
    },
    Rename {
        from: String,
        to: String,
    },
    Start {
        service: String,
        container: String,
    },
    /// `timeout` in seconds; `None`: the container's own.
    Stop {
        container: String,
        timeout: Option<i64>,
    },
    Restart {
        service: String,
        container: String,
        timeout: Option<i64>,
    },
    Kill {
        container: String,
        /// `None`: SIGKILL.
        signal: Option<String>,
    },
    Pause {
        container: String,
    },
    Unpause {
        container: String,
    },
    Remove {
        container: String,
        /// Its anonymous volumes as well.
        volumes: bool,
    },
    /// Waits until all of a service's containers are as somebody needs them.
    Wait {
        service: String,
        containers: Vec<String>,
        until: Condition,
        /// Otherwise one that does not come to be so is only told of.
        required: bool,
    },
}

impl Action {
    /// What it is done to, for people: `container web-1`.
    pub fn subject(&self) -> String {
        match self {
            Self::CreateNetwork { name, .. } | Self::RemoveNetwork { name } => {
                format!("network {name}")
            }
            Self::CreateVolume { name, .. } | Self::RemoveVolume { name } => {
                format!("volume {name}")
            }
            Self::RemoveImage { image } => format!("image {image}"),
            Self::Create { name, replaces, .. } => {
                format!("container {}", replaces.as_ref().unwrap_or(name))
            }
            Self::Rename { to, .. } => format!("container {to}"),
            Self::Disconnect { container, .. }
            | Self::Start { container, .. }
            | Self::Stop { container, .. }
            | Self::Restart { container, .. }
            | Self::Kill { container, .. }
            | Self::Pause { container }
            | Self::Unpause { container }
            | Self::Remove { container, .. } => format!("container {container}"),
            Self::Wait { service, .. } => format!("service {service}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork { name, .. } => write!(f, "create network {name}"),
            Self::RemoveNetwork { name } => write!(f, "remove network {name}"),
            Self::Disconnect { container, network } => {
                write!(f, "disconnect {container} from {network}")
            }
            Self::CreateVolume { name, .. } => write!(f, "create volume {name}"),
            Self::RemoveVolume { name } => write!(f, "remove volume {name}"),
            Self::RemoveImage { image } => write!(f, "remove image {image}"),
            Self::Create { name, replaces: Some(old), .. } => write!(f, "create {name} for {old}"),
            Self::Create { name, .. } => write!(f, "create {name}"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Start { container, .. } => write!(f, "start {container}"),
            Self::Stop { container, .. } => write!(f, "stop {container}"),
            Self::Restart { container, .. } => write!(f, "restart {container}"),
            Self::Kill { container, signal: None } => write!(f, "kill {container}"),
            Self::Kill { container, signal: Some(signal) } => {
                write!(f, "kill {container} with {signal}")
            }
            Self::Pause { container } => write!(f, "pause {container}"),
            Self::Unpause { container } => write!(f, "unpause {container}"),
            Self::Remove { container, .. } => write!(f, "remove {container}"),
            Self::Wait { service, until, .. } => write!(f, "wait until {service} {until}"),
        }
    }
}

impl Plan {
    /// Adds a step, and returns its place.
    fn push(&mut self, action: Action, after: &[usize]) -> usize {
        let mut after = after.to_vec();
        after.sort_unstable();
        after.dedup();
        self.steps.push(Step { action, after });
        self.steps.len() - 1
    }
}

/// One line a step: its number, what it does, and the numbers of those it comes after.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            write!(f, "{}. {}", at + 1, step.action)?;
            if !step.after.is_empty() {
                let after: Vec<String> = step.after.iter().map(|n| (n + 1).to_string()).collect();
                write!(f, " (after {})", after.join(", "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
