//! Waiting for containers, and the commands at points of their lives.

use super::machine::Machine;
use crate::error::Failure;
use crate::ui;
use knarr_compose::model::Hook;
use knarr_compose::plan::Condition;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_runtime::container::{self, health::Awaited};
use knarr_runtime::monitor::{DetachKeys, Execution};
use knarr_runtime::state::{self, HealthStatus, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at a container that no event tells of.
const PACE: Duration = Duration::from_millis(20);

/// Between two looks at whether to wait on.
const PATIENCE: Duration = Duration::from_millis(200);

/// For how long, and until when.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// `--wait-timeout`
    pub until: Option<Instant>,
    /// Set by ctrl-C.
    pub cancelled: Arc<AtomicBool>,
}

impl Waiting {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// What a container that was started has come to.
enum Found {
    Starting,
    Healthy,
    Unhealthy,
    Unchecked,
    Exited(u8),
}

impl Found {
    fn of(store: &Store, id: &ContainerId) -> Result<Self, Failure> {
        let container = state::load(store.root(), id).map_err(container::Error::from)?;
        Ok(match (container.state.status, container.state.exit) {
            (Status::Exited, exit) => Self::Exited(exit.map_or(0, |exit| exit.code)),
            _ => Self::Starting,
        })
    }
}

impl Machine<'_> {
    pub(super) fn wait(
        &self,
        store: &Store,
        service: &str,
        containers: &[String],
        until: Condition,
        required: bool,
    ) -> Result<(), Failure> {
        for name in containers {
            // what need not become so may as well not be there
            match self.wait_for(store, name, until) {
                Err(failure) if !required => {
                    ui::warning(format_args!(
                        "the service {service} is not needed, and {}",
                        failure.messages.join(": ")
                    ));
                }
                other => other.map_err(|failure| {
                    failure.context(format!(
                        "the service {service} did not become what others wait for ({until})"
                    ))
                })?,
            }
        }
        Ok(())
    }

    fn wait_for(&self, store: &Store, name: &str, until: Condition) -> Result<(), Failure> {
        let id = container::find(store, name)?;
        let exited = |code: u8| {
            Failure::new(format!("the container {name} has exited with {code}"))
                .hint(format!("knarr logs {name}"))
        };
        while !self.waiting.is_cancelled() {
            let state = match until {
                Condition::Healthy | Condition::Ready => self.health(store, &id)?,
                Condition::Started | Condition::Completed => Found::of(store, &id)?,
            };
            match (until, state) {
                (Condition::Completed, Found::Exited(0)) => return Ok(()),
                (_, Found::Exited(code)) => return Err(exited(code)),
                (Condition::Completed, _) => {}
                (Condition::Started, _) | (_, Found::Healthy) => return Ok(()),
                (Condition::Ready, Found::Unchecked) => return Ok(()),
                (Condition::Healthy, Found::Unchecked) => {
                    return Err(Failure::new(format!("the container {name} has no health check"))
                        .hint("give the service a healthcheck, or wait for service_started"));
                }
                (_, Found::Unhealthy) => return Err(self.unhealthy(store, name, &id)),
                (_, Found::Starting) => {}
            }
            if self.waiting.is_over() {
                return Err(Failure::new(format!("the container {name} took too long")));
            }
            if until == Condition::Completed {
                std::thread::sleep(PACE);
            }
        }
        Err(Failure::new("interrupted"))
    }

    /// By its monitor's word, as soon as there is one; but not for longer than ctrl-C may have to wait.
    fn health(&self, store: &Store, id: &ContainerId) -> Result<Found, Failure> {
        let ends = [HealthStatus::Healthy, HealthStatus::Unhealthy];
        Ok(match container::wait_health(store, id, &ends, Some(Instant::now() + PATIENCE))? {
            Awaited::Health(HealthStatus::Healthy) => Found::Healthy,
            Awaited::Health(HealthStatus::Unhealthy) => Found::Unhealthy,
            Awaited::Health(HealthStatus::Starting) | Awaited::TooLate => Found::Starting,
            Awaited::Exited(code) => Found::Exited(code),
            // one that ends at once is not ready
            Awaited::Unchecked => match Found::of(store, id)? {
                Found::Exited(code) => Found::Exited(code),
                _ => Found::Unchecked,
            },
        })
    }

    /// With what its last probe said.
    fn unhealthy(&self, store: &Store, name: &str, id: &ContainerId) -> Failure {
        let last = state::load(store.root(), id).ok().and_then(|container| {
            let health = state::health(store.root(), &container)?;
            health.log.last().map(|probe| probe.output.trim().to_owned())
        });
        let failure = Failure::new(format!("the container {name} is unhealthy"));
        match last.filter(|output| !output.is_empty()) {
            Some(output) => {
                Failure { messages: [failure.messages, vec![output]].concat(), ..failure }
            }
            None => failure,
        }
    }

    /// Runs the commands in the container, one after the other; one that fails is a failure.
    pub fn hooks(
        &self,
        store: &Store,
        id: &ContainerId,
        point: &str,
        hooks: &[Hook],
    ) -> Result<(), Failure> {
        for hook in hooks {
            let env = hook.environment.0.iter();
            let env = env.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
            let execution = Execution {
                args: hook.command.0.clone().unwrap_or_default(),
                env: env.collect(),
                workdir: Some(hook.working_dir.clone()).filter(|path| !path.is_empty()),
                user: Some(hook.user.clone()).filter(|user| !user.is_empty()),
                privileged: hook.privileged,
                tty: false,
                interactive: false,
            };
            let end = container::exec(store, id, &execution, &DetachKeys::default())?;
            match crate::commands::attach::status(&end) {
                0 => {}
                code => {
                    return Err(Failure::new(format!("its {point} hook has exited with {code}")));
                }
            }
        }
        Ok(())
    }
}
