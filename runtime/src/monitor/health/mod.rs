//! Probing a container's health, by Docker's rules: a part of the monitor's `poll` loop, with a timer and the descriptors of
//! a probe that is under way.
//!
//! A command runs below a child of the monitor, which does all that may take long ([`process`]); `http://` and `tcp://` are
//! a socket in the container's network ([`connection`]) and no process at all.

mod connection;
mod places;
mod process;

use super::further::Place;
use super::networks::Networks;
use crate::net::names::Resolver;
use crate::state::{self, Health, HealthStatus, Probed};
use connection::Connection;
use jiff::Timestamp;
use knarr_core::duration;
use knarr_core::spec::health::{HealthTest, HealthTiming};
use knarr_core::spec::{ContainerSpec, EngineKind, OnUnhealthy, Port};
use process::Process;
use rustix::event::PollFlags;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Of a probe's output this much is kept, as in Docker.
const OUTPUT: usize = 4096;

/// What becomes ready of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Output,
    /// The command's end.
    End,
    Socket,
}

/// How a probe ended.
#[derive(Debug)]
struct Outcome {
    /// -1: it took too long, or could not be begun.
    code: i32,
    output: Vec<u8>,
}

impl Outcome {
    fn failed(code: i32, output: impl Into<String>) -> Self {
        Self { code, output: output.into().into_bytes() }
    }

    /// What one that took too long has said so far is told after that.
    fn too_long(timeout: Duration, said: &[u8]) -> Self {
        let limit = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let mut output =
            format!("Health check exceeded timeout ({})", duration::show(limit)).into_bytes();
        if !said.is_empty() {
            output.extend_from_slice(b": ");
            output.extend_from_slice(said);
        }
        Self { code: -1, output }
    }
}

#[derive(Debug)]
enum Probe {
    Process(Process),
    Connection(Connection),
}

/// A probe that is under way.
#[derive(Debug)]
struct Running {
    probe: Probe,
    begun: Instant,
    at: Timestamp,
    /// When it is ended from here.
    until: Instant,
    /// The container was paused meanwhile: what it says does not count.
    ignored: bool,
}

/// A container's probes in one life.
#[derive(Debug)]
pub(super) struct Probes<'a> {
    place: Place<'a>,
    /// Ports of a Wasm guest on the host's network.
    ports: Vec<Port>,
    test: HealthTest,
    timing: HealthTiming,
    health: Health,
    started: Instant,
    /// When the next probe begins; `None` while one is under way, or the container is paused.
    due: Option<Instant>,
    running: Option<Running>,
    paused: bool,
    ended: Option<Ended>,
}

/// A probe has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// What is to be done, as the container has become unhealthy by it.
    pub action: OnUnhealthy,
}

impl<'a> Probes<'a> {
    /// The guest has just been started; `None` if nothing is to be probed.
    pub fn begin(
        place: Place<'a>,
        ports: Vec<Port>,
        before: &state::ContainerState,
    ) -> Option<Self> {
        let check = place.spec.active_healthcheck()?;
        // what is not valid was refused when the container was made
        let test = check.test().ok().flatten()?;
        let mut probes = Self {
            place,
            ports,
            test,
            timing: check.timing(),
            health: state::of_life(before),
            started: Instant::now(),
            due: None,
            running: None,
            paused: false,
            ended: None,
        };
        probes.schedule();
        Some(probes)
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    pub fn wanted(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let probe = self.running.as_ref().map(|running| &running.probe);
        let process = match probe {
            Some(Probe::Process(process)) => Some(process),
            _ => None,
        };
        let connection = match probe {
            Some(Probe::Connection(connection)) => connection.wanted(),
            _ => None,
        };
        let connection = connection.map(|(fd, flags)| (Source::Socket, fd, flags));
        process.into_iter().flat_map(Process::wanted).chain(connection)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.until).or(self.due)
    }

    /// Something of the probe is ready.
    pub fn ready(&mut self, source: Source) {
        let Some(running) = &mut self.running else { return };
        let outcome = match &mut running.probe {
            Probe::Process(process) => process.ready(source, self.timing.timeout),
            Probe::Connection(connection) => connection.advance(),
        };
        if let Some(outcome) = outcome {
            self.end(outcome);
        }
    }

    /// Begins a probe that is due, and ends one that takes too long. Tells once of each that has ended.
    pub fn tick(
        &mut self,
        networks: Option<&Networks>,
        names: Option<&mut Resolver>,
    ) -> Option<Ended> {
        let now = Instant::now();
        if let Some(running) = &self.running
            && running.until <= now
        {
            let outcome = match &running.probe {
                Probe::Process(_) => {
                    let id = &self.place.spec.id;
                    Outcome::failed(
                        -1,
                        format!("timed out starting health check for container {id}"),
                    )
                }
                Probe::Connection(connection) => {
                    Outcome::too_long(self.timing.timeout, connection.doing().as_bytes())
                }
            };
            self.end(outcome);
        } else if self.running.is_none() && self.due.is_some_and(|at| at <= now) {
            self.probe(networks, names);
        }
        self.ended.take()
    }

    /// Probes at once; if a probe is under way, that one is meant.
    pub fn hasten(&mut self) {
        if self.due.is_some() {
            self.due = Some(Instant::now());
        }
    }

    /// The container is about to be paused: nobody would answer. As in Docker it is unhealthy until it answers again.
    pub fn pause(&mut self) {
        (self.paused, self.due) = (true, None);
        if let Some(running) = &mut self.running {
            running.ignored = true;
            match &mut running.probe {
                Probe::Process(process) => process.interrupt(),
                Probe::Connection(_) => self.running = None,
            }
        }
        self.health.status = HealthStatus::Unhealthy;
        self.write();
    }

    /// It goes on, if it was paused.
    pub fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.schedule();
        }
    }

    fn probe(&mut self, networks: Option<&Networks>, names: Option<&mut Resolver>) {
        self.due = None;
        let (begun, at) = (Instant::now(), Timestamp::now());
        let HealthTiming { timeout, .. } = self.timing;
        let (probe, patience) = match &self.test {
            HealthTest::Exec(_) | HealthTest::Shell(_) => {
                (self.execute(names).map(Probe::Process), timeout + process::PATIENCE)
            }
            HealthTest::Tcp(target) => {
                let place = self.address(*target, networks);
                (place.map(|place| Probe::Connection(Connection::begin(place, None))), timeout)
            }
            HealthTest::Http(target, path) => {
                let place = self.address(*target, networks);
                let begin =
                    |place| Probe::Connection(Connection::begin(place, Some((*target, path))));
                (place.map(begin), timeout)
            }
        };
        let until = begun + patience;
        match probe {
            Ok(probe) => {
                self.running = Some(Running { probe, begun, at, until, ignored: false });
                // a connection to a neighbouring socket may be there at once
                self.ready(Source::Socket);
            }
            Err(reason) => self.record((begun, at), Outcome::failed(-1, reason)),
        }
    }

    fn execute(&self, names: Option<&mut Resolver>) -> Result<Process, String> {
        let spec = self.place.spec;
        let words = words(&self.test, spec)?;
        let is_wasm = spec.engine == EngineKind::Wasm;
        let channel = names.filter(|_| is_wasm).map(Resolver::channel).transpose();
        channel
            .and_then(|channel| Process::begin(&self.place, words, channel, self.timing.timeout))
            .map_err(|e| e.to_string())
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(running) = self.running.take() else { return };
        if !running.ignored {
            self.record((running.begun, running.at), outcome);
        }
    }

    fn record(&mut self, (begun, start): (Instant, Timestamp), outcome: Outcome) {
        let before = self.health.status;
        let counts = begun.duration_since(self.started) >= self.timing.start_period;
        let Outcome { code: exit_code, output } = outcome;
        let probed = Probed { start, end: Timestamp::now(), exit_code, output: text(&output) };
        self.health.add(probed, self.timing.retries, counts);
        self.write();
        self.schedule();
        if self.health.status != before {
            let action = format!("health_status: {}", self.health.status);
            state::tell(self.place.root, self.place.spec, &action, &[]);
        }
        let turned = self.health.status == HealthStatus::Unhealthy && before != self.health.status;
        let action = if turned { self.place.spec.on_unhealthy } else { OnUnhealthy::None };
        self.ended = Some(Ended { action });
    }

    /// The next probe follows the end of the last one.
    fn schedule(&mut self) {
        let HealthTiming { interval, start_period, start_interval, .. } = self.timing;
        let starting =
            self.health.status == HealthStatus::Starting && self.started.elapsed() < start_period;
        self.due = Some(Instant::now() + if starting { start_interval } else { interval });
    }

    fn write(&self) {
        // it is for those who look; a full disk must not take the guest down
        let _ = state::write_health(self.place.root, &self.place.spec.id, &self.health);
    }
}

/// The command of a probe. The shell is the image's; where a Wasm image names none, a line of plain words needs none.
fn words(test: &HealthTest, spec: &ContainerSpec) -> Result<Vec<String>, String> {
    const SHELLS: &[char] = &['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?'];
    match test {
        HealthTest::Exec(words) => Ok(words.clone()),
        HealthTest::Shell(line) if !spec.shell.is_empty() => {
            Ok(spec.shell.iter().chain([line]).cloned().collect())
        }
        HealthTest::Shell(line) if spec.engine == EngineKind::Wasm => {
            let words = shell_words::split(line).ok().filter(|_| !line.contains(SHELLS));
            words.ok_or_else(|| {
                format!("{line:?} is for a shell, and the image names none (SHELL); write the words of a command")
            })
        }
        HealthTest::Shell(line) => Ok(vec!["/bin/sh".into(), "-c".into(), line.clone()]),
        HealthTest::Tcp(_) | HealthTest::Http(..) => Ok(Vec::new()),
    }
}

/// As much of an output as is kept.
fn text(output: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&output[..output.len().min(OUTPUT)]).into_owned();
    let mut end = text.len().min(OUTPUT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_text_and_short() {
        assert_eq!(text(b"ab\xffc"), "ab\u{fffd}c");
        assert_eq!(text(&[b'x'; 10_000]).len(), OUTPUT);
        let long = text(&[0xff; 10_000]);
        assert!(long.len() <= OUTPUT && long.chars().all(|c| c == '\u{fffd}'));
    }

    #[test]
    fn failures_count_by_dockers_rules() {
        let probed = |code: i32| Probed {
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            exit_code: code,
            output: String::new(),
        };
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let mut health = Health::default();
        for (code, counts, status, streak) in [
            (1, false, Starting, 0),
            (1, true, Starting, 1),
            (-1, true, Unhealthy, 2),
            (0, true, Healthy, 0),
            // it was healthy: the start period is over
            (1, false, Healthy, 1),
            (1, false, Unhealthy, 2),
            (1, false, Unhealthy, 3),
        ] {
            health.add(probed(code), 2, counts);
            assert_eq!((health.status, health.failing_streak), (status, streak));
        }
        assert_eq!(health.log.len(), 5);
        assert_eq!(health.log[0].exit_code, -1);
    }
}
