//! Wait until containers end, and print their exit codes.

use super::{Context, Outcome, each};
use crate::error::Failure;
use clap::ValueEnum;
use knarr_runtime::container;
use knarr_runtime::container::health::Awaited;
use knarr_runtime::state::HealthStatus;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to wait for: stopped, healthy or unhealthy; for others than the end, -1 is printed
    #[arg(long, value_name = "CONDITION", hide_possible_values = true)]
    condition: Vec<Condition>,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Condition {
    #[value(alias = "exited")]
    Stopped,
    Healthy,
    Unhealthy,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let until: Vec<HealthStatus> = args.condition.iter().copied().filter_map(health).collect();
    let end_will_do = until.is_empty() || args.condition.contains(&Condition::Stopped);
    each(&args.containers, |name| {
        let id = container::find(&store, name)?;
        if until.is_empty() {
            return Ok(Some(container::wait(&store, &id)?.to_string()));
        }
        match container::wait_health(&store, &id, &until, None)? {
            Awaited::Health(_) => Ok(Some("-1".into())),
            Awaited::Exited(code) if end_will_do => Ok(Some(code.to_string())),
            Awaited::Exited(code) => {
                Err(Failure::new(format!("container {name} has ended with {code}"))
                    .hint(format!("'knarr logs {name}' may tell why")))
            }
            Awaited::Unchecked | Awaited::TooLate => {
                Err(Failure::new(format!("container {name} has no health check"))
                    .hint("make it with --health-cmd"))
            }
        }
    })
}

fn health(condition: Condition) -> Option<HealthStatus> {
    match condition {
        Condition::Stopped => None,
        Condition::Healthy => Some(HealthStatus::Healthy),
        Condition::Unhealthy => Some(HealthStatus::Unhealthy),
    }
}
