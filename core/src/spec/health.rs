//! Health checks: how a container is to be probed, when, and what follows (`HEALTHCHECK`, `--health-*`).

use crate::image::config::Healthcheck;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// What is done with a container that has become unhealthy (`--health-on-failure`, Podman's).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnhealthy {
    #[default]
    None,
    /// SIGKILL; what follows is its restart policy's business.
    Kill,
    /// Stopped and started again, whatever its restart policy is.
    Restart,
    /// Stopped, as by `stop`: no restart policy brings it back.
    Stop,
}

/// When a container is probed, with Docker's defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthTiming {
    /// From the end of a probe to the beginning of the next one, and before the first.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// After the start: failures do not count as long as the container was never healthy.
    pub start_period: Duration,
    /// Instead of `interval`, as long as failures do not count.
    pub start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u64,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// Executes this in the container; 0 is healthy.
    Exec(Vec<String>),
    /// A line for the image's shell.
    Shell(String),
    /// Connects.
    Tcp(Target),
    /// Gets this path; an answer of 200 to 399 is healthy.
    Http(Target, String),
}

/// Where a built-in probe connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// `None`: the container's `localhost`.
    pub address: Option<IpAddr>,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHealthcheck {
    #[error("the {name} of the health check is less than 1ms")]
    TooShort { name: &'static str },
    #[error("{url:?} is not a health check")]
    Url { url: String },
}

impl crate::hint::Hint for InvalidHealthcheck {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooShort { .. } => "write a duration such as 30s or 500ms; 0 means the default".into(),
            Self::Url { .. } => {
                "write http://[HOST]:PORT/PATH or tcp://[HOST]:PORT; HOST is an address, localhost, or left out".into()
            }
        })
    }
}

/// The least that Docker takes.
const LEAST: u64 = 1_000_000;

impl Healthcheck {
    /// Whether there is something to do. As in Docker, a kind that nobody knows is none.
    pub fn is_active(&self) -> bool {
        self.test.first().is_some_and(|kind| ["CMD", "CMD-SHELL"].contains(&&**kind))
    }

    /// Refuses what Docker's API refuses, and built-in probes that lead nowhere.
    pub fn check(&self) -> Result<(), InvalidHealthcheck> {
        let durations = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("start period", self.start_period),
            ("start interval", self.start_interval),
        ];
        match durations.into_iter().find(|(_, time)| (1..LEAST).contains(time)) {
            Some((name, _)) => Err(InvalidHealthcheck::TooShort { name }),
            None => self.test().map(drop),
        }
    }

    /// What a probe does; `None`: there are no probes.
    pub fn test(&self) -> Result<Option<HealthTest>, InvalidHealthcheck> {
        let Some((kind, words)) = self.test.split_first() else { return Ok(None) };
        let built_in = match words {
            [word] if self.is_active() => built_in(word.trim())?,
            _ => None,
        };
        match (kind.as_str(), built_in) {
            ("CMD" | "CMD-SHELL", Some(test)) => Ok(Some(test)),
            ("CMD", None) => Ok(Some(HealthTest::Exec(words.to_vec()))),
            ("CMD-SHELL", None) => Ok(Some(HealthTest::Shell(words.join(" ")))),
            _ => Ok(None),
        }
    }

    pub fn timing(&self) -> HealthTiming {
        let or = |time: u64, default: u64| match time {
            0 => Duration::from_secs(default),
            time => Duration::from_nanos(time),
        };
        HealthTiming {
            interval: or(self.interval, 30),
            timeout: or(self.timeout, 30),
            start_period: or(self.start_period, 0),
            start_interval: or(self.start_interval, 5),
            retries: if self.retries == 0 { 3 } else { self.retries },
        }
    }
}

/// A word that names a built-in probe.
fn built_in(word: &str) -> Result<Option<HealthTest>, InvalidHealthcheck> {
    let invalid = || InvalidHealthcheck::Url { url: word.to_owned() };
    let is_one_word = word.bytes().all(|byte| byte.is_ascii_graphic());
    let (scheme, rest) = match word.split_once("://") {
        Some((scheme, rest)) if is_one_word => (scheme.to_ascii_lowercase(), rest),
        _ => return Ok(None),
    };
    let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // what follows is the client's own business
    let path = path.split('#').next().unwrap_or_default();
    match &*scheme {
        "tcp" if path.is_empty() || path == "/" => {
            Ok(Some(HealthTest::Tcp(target(place, None).ok_or_else(invalid)?)))
        }
        "http" => {
            let slash = if path.starts_with('/') { "" } else { "/" };
            let target = target(place, Some(80)).ok_or_else(invalid)?;
            Ok(Some(HealthTest::Http(target, format!("{slash}{path}"))))
        }
        "tcp" => Err(invalid()),
        _ => Ok(None),
    }
}

fn target(place: &str, default: Option<u16>) -> Option<Target> {
    // an address of IPv6 is in brackets
    let (host, port) = match place.rfind([':', ']']) {
        Some(at) if place[at..].starts_with(':') => (&place[..at], Some(&place[at + 1..])),
        _ => (place, None),
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None => default?,
    };
    let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => Some(IpAddr::V6(host.parse().ok()?)),
        None if host.is_empty() || host.eq_ignore_ascii_case("localhost") => None,
        None => Some(IpAddr::V4(host.parse().ok()?)),
    };
    (port != 0).then_some(Target { address, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(words: &[&str]) -> Result<Option<HealthTest>, InvalidHealthcheck> {
        let test = words.iter().map(|word| (*word).to_owned()).collect();
        Healthcheck { test, ..Healthcheck::default() }.test()
    }

    #[test]
    fn built_in_probes() {
        let at = |address: &str, port| Target { address: address.parse().ok(), port };
        for (url, expected) in [
            ("http://:8080/a?b=c#d", HealthTest::Http(at("", 8080), "/a?b=c".into())),
            ("http://localhost", HealthTest::Http(at("", 80), "/".into())),
            ("HTTP://127.0.0.1:81?x", HealthTest::Http(at("127.0.0.1", 81), "/?x".into())),
            ("http://[::1]:82/", HealthTest::Http(at("::1", 82), "/".into())),
            ("tcp://:5432", HealthTest::Tcp(at("", 5432))),
            ("tcp://[::1]:1/", HealthTest::Tcp(at("::1", 1))),
        ] {
            assert_eq!(test(&["CMD", url]).unwrap(), Some(expected.clone()), "{url}");
            assert_eq!(test(&["CMD-SHELL", &format!(" {url} ")]).unwrap(), Some(expected), "{url}");
        }
        for url in [
            "http://web:80/",
            "tcp://:0",
            "tcp://localhost",
            "tcp://:1/x",
            "http://:x/",
            "tcp://:70000",
        ] {
            assert!(matches!(test(&["CMD", url]), Err(InvalidHealthcheck::Url { .. })), "{url}");
        }
        for line in ["curl http://:80/", "http://:80/ || exit 1", "https://localhost/"] {
            let shell = Some(HealthTest::Shell(line.to_owned()));
            assert_eq!(test(&["CMD-SHELL", line]).unwrap(), shell, "{line}");
        }
        assert_eq!(test(&["NONE"]).unwrap(), None);
        assert_eq!(test(&[]).unwrap(), None);
        assert_eq!(test(&["RUN", "x"]).unwrap(), None);
    }

    #[test]
    fn defaults_are_dockers() {
        let timing = Healthcheck::default().timing();
        let seconds = [timing.interval, timing.timeout, timing.start_period, timing.start_interval];
        assert_eq!(seconds.map(|time| time.as_secs()), [30, 30, 0, 5]);
        assert_eq!(timing.retries, 3);
        let short = Healthcheck { timeout: 999_999, ..Healthcheck::default() };
        assert_eq!(short.check(), Err(InvalidHealthcheck::TooShort { name: "timeout" }));
    }
}
