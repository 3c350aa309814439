//! What a service's words about pulling, restarting and scaling mean.

use super::scalar::Duration;
use super::service::Service;

/// When an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    Never,
    /// If it is not there: what holds if the file says nothing.
    Missing,
    /// It is built, not fetched.
    Build,
    /// If it is not there, or was fetched longer ago than this.
    After(Duration),
}

/// What happens when a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    No,
    Always,
    UnlessStopped,
    /// After a failure; at most this many times, if there is a number.
    OnFailure(Option<u32>),
}

impl Service {
    /// `pull_policy`, read. Nothing for an interval that is none.
    pub fn pull_policy(&self) -> Option<PullPolicy> {
        let days = |count: i64| PullPolicy::After(Duration(count * 86_400_000_000_000));
        Some(match self.pull_policy.as_str() {
            "always" => PullPolicy::Always,
            "never" => PullPolicy::Never,
            "build" => PullPolicy::Build,
            "daily" => days(1),
            "weekly" => days(7),
            "refresh" if !self.pull_refresh_after.is_empty() => {
                PullPolicy::After(Duration::parse(&self.pull_refresh_after)?)
            }
            other => match other.strip_prefix("every_") {
                Some(interval) => PullPolicy::After(Duration::parse(interval)?),
                None => PullPolicy::Missing,
            },
        })
    }

    /// What happens when a container ends, by `deploy.restart_policy` or else by `restart`; nothing for words that mean
    /// nothing.
    pub fn restart_policy(&self) -> Option<Restart> {
        if let Some(policy) = self.deploy.as_ref().and_then(|d| d.restart_policy.as_ref()) {
            let attempts = policy.max_attempts.and_then(|n| u32::try_from(n).ok());
            return match policy.condition.as_str() {
                "none" => Some(Restart::No),
                "on-failure" => Some(Restart::OnFailure(attempts)),
                "" | "any" => Some(Restart::Always),
                _ => None,
            };
        }
        match self.restart.as_str() {
            "" | "no" => Some(Restart::No),
            "always" => Some(Restart::Always),
            "unless-stopped" => Some(Restart::UnlessStopped),
            "on-failure" => Some(Restart::OnFailure(None)),
            other => {
                let attempts = other.strip_prefix("on-failure:")?;
                attempts.parse().ok().map(|attempts| Restart::OnFailure(Some(attempts)))
            }
        }
    }

    /// How many containers the service has.
    pub fn replicas(&self) -> i64 {
        self.scale.or(self.deploy.as_ref().and_then(|d| d.replicas)).unwrap_or(1)
    }

    /// Sets how many containers the service has.
    pub fn set_replicas(&mut self, replicas: i64) {
        self.scale = Some(replicas);
        if let Some(deploy) = &mut self.deploy {
            deploy.replicas = Some(replicas);
        }
    }

    /// Whether one of the profiles enables the service; `*` is all of them.
    pub fn has_profile(&self, profiles: &[String]) -> bool {
        self.profiles.is_empty() || profiles.iter().any(|p| p == "*" || self.profiles.contains(p))
    }

    /// The image, or the name that one built for the service gets. `separator` is `-`, or `_` with `--compatibility`.
    pub fn image_or_default(&self, project: &str, separator: char) -> String {
        match self.image.is_empty() {
            true => format!("{project}{separator}{}", self.name),
            false => self.image.clone(),
        }
    }
}
