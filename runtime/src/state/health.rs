//! How a container's health is: what its monitor found out, for those who ask.
//!
//! While the container runs this is in its run folder, where it costs no disk anything; the end of a life writes it into
//! the state.

use super::{Container, ContainerState};
use jiff::Timestamp;
use knarr_core::fsx::Durability;
use knarr_core::record::{self, Record};
use knarr_core::root::Root;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Probes that are remembered, as in Docker.
const REMEMBERED: usize = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It was not healthy yet, nor has it failed often enough.
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Probed {
    pub start: Timestamp,
    pub end: Timestamp,
    /// 0 is healthy; -1: it took too long, or could not be begun.
    pub exit_code: i32,
    /// At most 4096 bytes.
    pub output: String,
}

/// Under Docker's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    pub status: HealthStatus,
    /// Failures in a row that count.
    pub failing_streak: u64,
    /// The last probes, oldest first.
    pub log: Vec<Probed>,
}

impl Record for Health {
    const KIND: &'static str = "container health";
    const VERSION: u32 = 1;
}

impl Health {
    /// At the begin of a further life.
    pub(super) fn anew(self) -> Self {
        Self { log: self.log, ..Self::default() }
    }

    /// Adds a probe, by Docker's rules. `counts`: a failure is one although the container was never healthy.
    pub fn add(&mut self, probed: Probed, retries: u64, counts: bool) {
        if probed.exit_code == 0 {
            (self.status, self.failing_streak) = (HealthStatus::Healthy, 0);
        } else if counts || self.status != HealthStatus::Starting {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(probed);
        let forgotten = self.log.len().saturating_sub(REMEMBERED);
        self.log.drain(..forgotten);
    }
}

/// A container's health; `None` if it has no check, or was never started.
///
/// As in Docker, one that is not probed any more is unhealthy.
pub fn health(root: &Root, container: &Container) -> Option<Health> {
    let Container { spec, state } = container;
    spec.active_healthcheck()?;
    state.started?;
    if !state.is_alive() {
        let last = state.health.clone().unwrap_or_default();
        return Some(Health { status: HealthStatus::Unhealthy, ..last });
    }
    let now = record::read(&root.container(&spec.id).health()).ok().flatten();
    Some(now.unwrap_or_else(|| of_life(state)))
}

/// What a life begins with.
pub(crate) fn of_life(state: &ContainerState) -> Health {
    state.health.clone().unwrap_or_default().anew()
}

/// Written by the container's monitor alone.
pub(crate) fn write_health(
    root: &Root,
    container: &super::ContainerId,
    health: &Health,
) -> Result<(), record::Error> {
    record::write(&root.container(container).health(), health, Durability::Process)
}
