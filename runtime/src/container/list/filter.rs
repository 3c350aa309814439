//! `--filter NAME=VALUE`: values of one name are alternatives (labels excepted), different names must all match.

use super::super::Result;
use crate::net::Members;
use crate::state::{self, Container, Status};
use jiff::Timestamp;
use knarr_core::hint::Hint;
use knarr_core::image::{Digest, Reference};
use knarr_core::pattern::{InvalidPattern, Pattern};
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{MountKind, Protocol, RestartPolicy};
use knarr_core::store::{self, Store};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    values: BTreeMap<String, Vec<String>>,
    names: Vec<Pattern>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidFilter {
    #[error("{text:?} is not a filter")]
    Form { text: String },
    #[error("containers cannot be filtered by {name:?}")]
    Name { name: String },
    #[error("{value:?} is not a value of the filter {name}")]
    Value { name: String, value: String },
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
}

impl Hint for InvalidFilter {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Pattern(e) => return e.hint(),
            Self::Form { .. } => "write NAME=VALUE, for example status=exited".into(),
            Self::Name { .. } => format!("the filters are {}", NAMES.join(", ")),
            Self::Value { name, .. } if name == "status" => {
                "the states are created, running, paused, restarting, exited, removing and dead"
                    .into()
            }
            Self::Value { name, .. } if name == "health" => {
                format!("the states of health are {}", HEALTH.join(", "))
            }
            Self::Value { name, .. } if name == "exited" => "write an exit code: exited=0".into(),
            Self::Value { name, .. } if name == "restart-policy" => {
                format!("the policies are {}", POLICIES.join(", "))
            }
            Self::Value { name, .. } if ["should-start-on-boot", "is-task"].contains(&&**name) => {
                "write true or false".into()
            }
            Self::Value { .. } => "write for example 80 or 80/tcp".into(),
        })
    }
}

const NAMES: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "restart-policy",
    "should-start-on-boot",
    "since",
    "status",
    "volume",
];

/// Docker's names.
const POLICIES: &[&str] = &["no", "always", "on-failure", "unless-stopped"];

/// Docker's, of checks; a container without one has `none`.
const HEALTH: &[&str] = &["starting", "healthy", "unhealthy", "none"];

impl Filters {
    /// Parses `NAME=VALUE` texts, and refuses values that cannot match anything.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, InvalidFilter> {
        let mut filters = Self::default();
        for text in texts {
            let text = text.as_ref();
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| InvalidFilter::Form { text: text.to_owned() })?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if !NAMES.contains(&&*name) {
                return Err(InvalidFilter::Name { name });
            }
            let valid = match &*name {
                "name" => {
                    filters.names.push(value.parse()?);
                    true
                }
                // nothing is ever dead here
                "status" => status(value).is_some() || value == "dead",
                "health" => HEALTH.contains(&value),
                "exited" => value.parse::<i64>().is_ok(),
                "restart-policy" => POLICIES.contains(&value),
                "should-start-on-boot" | "is-task" => switch(value).is_some(),
                "expose" | "publish" => port(value).is_some(),
                _ => true,
            };
            if !valid {
                return Err(InvalidFilter::Value { name, value: value.to_owned() });
            }
            filters.values.entry(name).or_default().push(value.to_owned());
        }
        Ok(filters)
    }

    /// Filters by these show containers in every state.
    pub(super) fn is_about_status(&self) -> bool {
        self.values.contains_key("status") || self.values.contains_key("exited")
    }

    /// For each container whether it matches.
    pub(super) fn choose(
        &self,
        store: &Store,
        containers: &[Container],
        members: &Members,
    ) -> Result<Vec<bool>> {
        let mut ancestors = Vec::new();
        for text in self.of("ancestor") {
            ancestors.push(Ancestor::find(store, text)?);
        }
        let created = |name: &str| -> Result<Vec<Timestamp>> {
            let mut times = Vec::new();
            for text in self.of(name) {
                let id = state::find(store.root(), text)?;
                times.push(state::load(store.root(), &id)?.spec.created);
            }
            Ok(times)
        };
        let (before, since) = (created("before")?, created("since")?);
        let matches = |container: &Container| {
            let at = container.spec.created;
            self.values.iter().all(|(name, values)| match name.as_str() {
                "ancestor" => ancestors.iter().any(|ancestor| ancestor.is_of(container)),
                "before" => before.iter().all(|other| at < *other),
                "since" => since.iter().all(|other| at > *other),
                // each must be there
                "label" => values.iter().all(|value| has_label(container, value)),
                "name" => self.names.iter().any(|name| name_matches(&container.state.name, name)),
                "network" => values.iter().any(|value| is_on(container, members, value)),
                "health" => {
                    let health = state::health(store.root(), container);
                    let health = health.map_or("none".into(), |h| h.status.to_string());
                    values.contains(&health)
                }
                name => values.iter().any(|value| has(container, name, value)),
            })
        };
        Ok(containers.iter().map(matches).collect())
    }

    fn of(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

fn has(container: &Container, name: &str, value: &str) -> bool {
    let Container { spec, state } = container;
    match name {
        "id" => spec.id.as_str().starts_with(value),
        "status" => status(value) == Some(state.status),
        "exited" => {
            state.status == Status::Exited
                && state.exit.as_ref().map(|exit| i64::from(exit.code)) == value.parse().ok()
        }
        "restart-policy" => spec.restart.name() == value,
        "should-start-on-boot" => {
            let should = match spec.restart {
                RestartPolicy::Always => true,
                RestartPolicy::UnlessStopped => !state.stopped,
                RestartPolicy::No | RestartPolicy::OnFailure { .. } => false,
            };
            switch(value) == Some(should)
        }
        // of a cluster's service
        "is-task" => switch(value) == Some(false),
        "volume" => spec.mounts.iter().any(|mount| {
            mount.target == value
                || match &mount.kind {
                    MountKind::Volume(volume) => volume.name == *value,
                    MountKind::Bind { source, .. } => source.as_os_str() == value,
                    MountKind::Tmpfs { .. } => false,
                }
        }),
        "expose" => port(value).is_some_and(|(wanted, protocol)| {
            spec.exposed.iter().any(|(port, p)| *p == protocol && wanted.contains(port))
        }),
        "publish" => port(value).is_some_and(|(wanted, protocol)| {
            let is_meant = |port: u16| wanted.contains(&port);
            state.ports.iter().any(|p| {
                p.protocol == protocol
                    && (is_meant(p.container_port) || p.host_port.is_some_and(is_meant))
            })
        }),
        _ => false,
    }
}

/// By a network's name or the start of its id, or `host` and `none`.
fn is_on(container: &Container, members: &Members, value: &str) -> bool {
    let is_meant = |network: &NetworkSpec| {
        network.name == value || (!value.is_empty() && network.id.as_str().starts_with(value))
    };
    super::network_name(&container.spec.network) == value
        || members.of(container.id()).any(is_meant)
}

/// Docker's name of a container begins with a slash, and a pattern may say so.
fn name_matches(name: &str, pattern: &Pattern) -> bool {
    pattern.matches(name) || pattern.matches(&format!("/{name}"))
}

fn has_label(container: &Container, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => container.spec.labels.get(name).is_some_and(|v| v == value),
        None => container.spec.labels.contains_key(wanted),
    }
}

fn status(text: &str) -> Option<Status> {
    [
        Status::Created,
        Status::Running,
        Status::Paused,
        Status::Restarting,
        Status::Exited,
        Status::Removing,
    ]
    .into_iter()
    .find(|status| status.to_string() == text)
}

/// `80`, `80/udp`, `8000-8010/tcp`
fn port(text: &str) -> Option<(RangeInclusive<u16>, Protocol)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some((range, protocol.parse().ok()?))
}

/// What Go's `strconv.ParseBool` takes.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An image that containers are made from, or whose layers are the lowest of theirs.
struct Ancestor {
    reference: Option<Reference>,
    id: Option<Digest>,
    chains: Vec<Vec<Digest>>,
}

impl Ancestor {
    fn find(store: &Store, text: &str) -> Result<Self> {
        let reference = text.parse().ok();
        let image = match store.find(text) {
            Ok(image) => image,
            // containers may outlive the image's name
            Err(store::Error::NotFound { .. }) => {
                return Ok(Self { reference, id: None, chains: Vec::new() });
            }
            Err(e) => return Err(e.into()),
        };
        let mut chains = Vec::new();
        for variant in store.variants(&image)?.iter().filter(|v| v.present) {
            let config = store.config(&store.manifest(&variant.manifest)?)?;
            let diff_ids: Vec<Digest> =
                config.rootfs.diff_ids.iter().filter_map(|text| text.parse().ok()).collect();
            chains.push(store::chain_ids(&diff_ids));
        }
        chains.retain(|chain| !chain.is_empty());
        Ok(Self { reference, id: Some(image.id().clone()), chains })
    }

    fn is_of(&self, container: &Container) -> bool {
        let image = &container.spec.image;
        let same_name = || {
            let theirs = image.reference.parse::<Reference>().ok();
            theirs.is_some() && theirs == self.reference
        };
        match &self.id {
            Some(id) => {
                image.id == *id || self.chains.iter().any(|chain| image.layers.starts_with(chain))
            }
            None => same_name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for text in ["status=exited", "label=a=b", "publish=80/udp", "Status = dead"] {
            Filters::parse([text]).unwrap();
        }
        for text in ["status", "colour=red", "status=happy", "exited=x", "expose=http", "name=["] {
            assert!(Filters::parse([text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names() {
        for pattern in ["we", "eb", "^web$", "/web", "^/web", "w.b", "^(web|db)$", "[a-z]+$"] {
            assert!(name_matches("web", &pattern.parse().unwrap()), "{pattern}");
        }
        for pattern in ["^eb", "we$", "/eb", "webs", "^[0-9]"] {
            assert!(!name_matches("web", &pattern.parse().unwrap()), "{pattern}");
        }
    }
}
