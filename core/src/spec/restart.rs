//! `--restart`: whether a container whose guest has ended is started again.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    #[default]
    No,
    /// Unless its exit code was 0; at most `retries` times in a row, 0 is unlimited.
    OnFailure {
        retries: u32,
    },
    Always,
    /// As `Always`; but one that was stopped by hand is not started with the machine.
    UnlessStopped,
}

impl RestartPolicy {
    /// Whether the container is to come back when its machine does, also after a power cut: its records are synced.
    pub fn is_lasting(self) -> bool {
        self != Self::No
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a restart policy")]
pub struct InvalidPolicy {
    text: String,
}

impl crate::hint::Hint for InvalidPolicy {
    fn hint(&self) -> Option<String> {
        Some("write no, on-failure[:RETRIES], always or unless-stopped".into())
    }
}

impl std::str::FromStr for RestartPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let invalid = || InvalidPolicy { text: text.to_owned() };
        let (name, retries) = match text.split_once(':') {
            Some((name, retries)) => (name, Some(retries.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        match (name, retries) {
            ("" | "no", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", retries) => Ok(Self::OnFailure { retries: retries.unwrap_or(0) }),
            _ => Err(invalid()),
        }
    }
}

impl RestartPolicy {
    /// Docker's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// Most restarts in a row; 0 is unlimited.
    pub fn retries(self) -> u32 {
        match self {
            Self::OnFailure { retries } => retries,
            _ => 0,
        }
    }

    /// Whether to start again after this exit code, having started again `restarts` times. Nobody stopped the container.
    pub fn again(self, code: u8, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::OnFailure { retries } => code != 0 && (retries == 0 || restarts < retries),
            Self::Always | Self::UnlessStopped => true,
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.retries() {
            0 => Ok(()),
            retries => write!(f, ":{retries}"),
        }
    }
}

/// How long to wait before each start: twice as long as before the last one, from 100 ms to a minute; from the beginning
/// after a run of ten seconds (Docker's numbers).
#[derive(Debug, Default)]
pub struct Backoff {
    last: Duration,
}

impl Backoff {
    pub fn next(&mut self, ran: Duration) -> Duration {
        let healthy = ran >= Duration::from_secs(10);
        self.last = match self.last {
            last if last.is_zero() || healthy => Duration::from_millis(100),
            last => (last * 2).min(Duration::from_secs(60)),
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_spelling() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in ["never", "always:1", "on-failure:x", "on-failure:-1"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }

    #[test]
    fn when_to_start_again() {
        let twice = RestartPolicy::OnFailure { retries: 2 };
        assert!(twice.again(1, 0) && twice.again(1, 1) && !twice.again(1, 2) && !twice.again(0, 0));
        assert!(RestartPolicy::Always.again(0, 9999) && !RestartPolicy::No.again(1, 0));
    }

    #[test]
    fn waits_grow_until_it_runs_well() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let mut wait = || backoff.next(short).as_millis();
        assert_eq!([wait(), wait(), wait()], [100, 200, 400]);
        for _ in 0..20 {
            wait();
        }
        assert_eq!(wait(), 60_000);
        assert_eq!(backoff.next(Duration::from_secs(10)).as_millis(), 100);
        assert_eq!(backoff.next(short).as_millis(), 200);
    }
}
