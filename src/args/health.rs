//! `--health-*`

use super::time;
use crate::error::Failure;
use clap::{Args, ValueEnum};
use knarr_core::image::config::Healthcheck;
use knarr_core::spec::OnUnhealthy;

#[derive(Debug, Args)]
#[command(next_display_order = None)]
pub struct HealthArgs {
    /// Command that tells whether the container is healthy, for its shell; or http://:PORT/PATH, tcp://:PORT, ["CMD", …]
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between two probes (30s)
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_interval: Option<String>,
    /// What follows when it becomes unhealthy: none, kill, restart or stop
    #[arg(
        long,
        value_name = "ACTION",
        default_value = "none",
        hide_default_value = true,
        hide_possible_values = true
    )]
    health_on_failure: Action,
    /// Failures in a row that make it unhealthy (3)
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    health_retries: Option<i64>,
    /// Time between two probes during the start period (5s)
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_start_interval: Option<String>,
    /// Time to start up, during which failures do not count (0s)
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_start_period: Option<String>,
    /// Time that a probe may take (30s)
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    health_timeout: Option<String>,
    /// Do without the image's health check
    #[arg(long)]
    no_healthcheck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    None,
    Kill,
    Restart,
    Stop,
}

impl HealthArgs {
    /// What is given takes the place of what the image says, each part by itself.
    pub fn healthcheck(&self) -> Result<Option<Healthcheck>, Failure> {
        let check = Healthcheck {
            test: self.health_cmd.as_deref().map_or_else(Vec::new, test),
            interval: duration("--health-interval", self.health_interval.as_deref())?,
            timeout: duration("--health-timeout", self.health_timeout.as_deref())?,
            start_period: duration("--health-start-period", self.health_start_period.as_deref())?,
            start_interval: duration(
                "--health-start-interval",
                self.health_start_interval.as_deref(),
            )?,
            retries: u64::try_from(self.health_retries.unwrap_or(0))
                .map_err(|_| negative("--health-retries"))?,
        };
        let given = check != Healthcheck::default();
        match self.no_healthcheck {
            true if given => {
                Err(Failure::usage("--no-healthcheck conflicts with --health-* options")
                    .hint("leave one of them out"))
            }
            true => Ok(Some(Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() })),
            false => Ok(given.then_some(check)),
        }
    }

    pub fn on_unhealthy(&self) -> OnUnhealthy {
        match self.health_on_failure {
            Action::None => OnUnhealthy::None,
            Action::Kill => OnUnhealthy::Kill,
            Action::Restart => OnUnhealthy::Restart,
            Action::Stop => OnUnhealthy::Stop,
        }
    }
}

/// A line for a shell; or, as Podman takes it, a list in JSON that begins with the kind of the check.
fn test(text: &str) -> Vec<String> {
    let list = serde_json::from_str::<Vec<String>>(text).ok();
    let is_test = |list: &Vec<String>| {
        list.first().is_some_and(|kind| ["CMD", "CMD-SHELL", "NONE"].contains(&&**kind))
    };
    match list.filter(is_test) {
        Some(list) => list,
        None if text.is_empty() => Vec::new(),
        None => vec!["CMD-SHELL".into(), text.to_owned()],
    }
}

/// In nanoseconds; 0: what the image says.
fn duration(option: &str, text: Option<&str>) -> Result<u64, Failure> {
    let Some(text) = text else { return Ok(0) };
    let invalid = || {
        Failure::usage(format!("{text:?} is not a value of {option}"))
            .hint("write a duration such as 30s, 1m30s or 500ms")
    };
    let duration = match text {
        "0" => Default::default(),
        text => time::duration(text).ok_or_else(invalid)?,
    };
    if duration.is_negative() {
        return Err(negative(option));
    }
    u64::try_from(duration.as_nanos())
        .ok()
        .filter(|time| i64::try_from(*time).is_ok())
        .ok_or_else(invalid)
}

fn negative(option: &str) -> Failure {
    Failure::usage(format!("{option} cannot be negative")).hint("0 means what the image says")
}
