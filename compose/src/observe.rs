//! What is there of a project: its containers, networks and volumes, as their labels tell. There is no state file.
//!
//! The labels are those of Docker Compose, with its meaning, so that tools which look for them find what they expect.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// The labels.
pub mod label {
    /// The project's name; on containers, networks and volumes.
    pub const PROJECT: &str = "com.docker.compose.project";
    pub const SERVICE: &str = "com.docker.compose.service";
    /// 1, 2, … within the service.
    pub const NUMBER: &str = "com.docker.compose.container-number";
    /// What the container, network or volume was made from.
    pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    /// `True` for those of `run`.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// The image's id.
    pub const IMAGE: &str = "com.docker.compose.image";
    /// `SERVICE:CONDITION:RESTART`, with commas between.
    pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
    /// The files, with commas between.
    pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
    pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    /// The name of the container whose place this one is about to take.
    pub const REPLACE: &str = "com.docker.compose.replace";
    pub const VERSION: &str = "com.docker.compose.version";
    /// The key of a network under `networks`.
    pub const NETWORK: &str = "com.docker.compose.network";
    /// The key of a volume under `volumes`.
    pub const VOLUME: &str = "com.docker.compose.volume";
}

/// All that there is of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub containers: Vec<Container>,
    /// The project's own, and those under the names that it wants.
    pub networks: Vec<Thing>,
    pub volumes: Vec<Thing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub state: State,
    /// The names of the networks that it is on.
    pub networks: Vec<String>,
    pub created: Timestamp,
    /// The last time; `None`: never.
    pub started: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Created,
    Running,
    Paused,
    /// It has ended, and will be started again.
    Restarting,
    Exited(u8),
}

/// A network or a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

impl Container {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// Empty for a container that somebody else labelled.
    pub fn service(&self) -> &str {
        self.label(label::SERVICE).unwrap_or_default()
    }

    pub fn number(&self) -> u32 {
        self.label(label::NUMBER).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    pub fn config_hash(&self) -> Option<&str> {
        self.label(label::CONFIG_HASH)
    }

    pub fn image(&self) -> Option<&str> {
        self.label(label::IMAGE)
    }

    /// Made by `run`.
    pub fn is_one_off(&self) -> bool {
        self.label(label::ONE_OFF).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The name of the container whose place it was to take. One that was interrupted has this and another name.
    pub fn replaces(&self) -> Option<&str> {
        self.label(label::REPLACE).filter(|name| *name != self.name)
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Restarting)
    }

    /// The services that it waited for, from its label; for what is taken down without its file.
    pub fn depends_on(&self) -> impl Iterator<Item = &str> {
        let all = self.label(label::DEPENDS_ON).unwrap_or_default().split(',');
        all.filter_map(|one| one.split(':').next()).filter(|name| !name.is_empty())
    }
}

impl Thing {
    /// The project whose it is.
    pub fn project(&self) -> Option<&str> {
        self.labels.get(label::PROJECT).map(String::as_str)
    }

    pub fn config_hash(&self) -> Option<&str> {
        self.labels.get(label::CONFIG_HASH).map(String::as_str)
    }
}

impl Observed {
    /// A service's containers that run it, lowest number first; those half-way through a replacement are not among them.
    pub fn of_service<'a>(&'a self, service: &'a str) -> Vec<&'a Container> {
        let mut own: Vec<_> = self
            .containers
            .iter()
            .filter(|c| c.service() == service && !c.is_one_off() && c.replaces().is_none())
            .collect();
        own.sort_by_key(|c| (c.number(), c.name.clone()));
        own
    }

    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name == name)
    }

    pub fn network(&self, name: &str) -> Option<&Thing> {
        self.networks.iter().find(|network| network.name == name)
    }

    pub fn volume(&self, name: &str) -> Option<&Thing> {
        self.volumes.iter().find(|volume| volume.name == name)
    }
}
