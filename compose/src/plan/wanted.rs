//! What a plan is made from: of a project only what decides what is to be done.

use std::fmt;

/// A project, after profiles and the choice of services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub project: String,
    /// Between the parts of a container's name: `-`, or `_` with `--compatibility`.
    pub separator: char,
    /// The services that are asked for, and those they need.
    pub services: Vec<Service>,
    /// All services of the files, also those that are not asked for: their containers are no orphans.
    pub known: Vec<String>,
    /// The networks and volumes that these services use.
    pub networks: Vec<Named>,
    pub volumes: Vec<Named>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// Of its configuration: a container with another one is out of date.
    pub hash: String,
    /// The id of its image; empty: not known, and not compared.
    pub image: String,
    pub scale: u32,
    /// `container_name`
    pub container_name: Option<String>,
    pub depends_on: Vec<Dependency>,
    /// The services whose namespaces or volumes its containers take: they cannot outlive those.
    pub shares: Vec<String>,
    /// Keys of networks and of volumes.
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub service: String,
    pub condition: Condition,
    /// Otherwise it is only waited for if it is there.
    pub required: bool,
    /// Start anew when the other one is made anew.
    pub restart: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `service_started`
    Started,
    /// `service_healthy`
    Healthy,
    /// `service_completed_successfully`
    Completed,
    /// It runs, and is healthy if it has a check (`up --wait`).
    Ready,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "has started",
            Self::Healthy => "is healthy",
            Self::Completed => "has completed",
            Self::Ready => "is ready",
        })
    }
}

/// A network or a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    pub key: String,
    pub name: String,
    /// Of its configuration.
    pub hash: String,
    /// Somebody else makes and removes it.
    pub external: bool,
}

impl Wanted {
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The name of a service's container.
    pub fn container_name(&self, service: &Service, number: u32) -> String {
        let separator = self.separator;
        match &service.container_name {
            Some(name) => name.clone(),
            None => format!("{}{separator}{}{separator}{number}", self.project, service.name),
        }
    }
}

impl Service {
    /// The services that must be there before it is: those it waits for, and those it shares something with.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let depends_on = self.depends_on.iter().map(|dependency| dependency.service.as_str());
        depends_on.chain(self.shares.iter().map(String::as_str))
    }
}
