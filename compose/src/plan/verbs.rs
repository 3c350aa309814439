//! The verbs that do one thing to containers that are there.

use super::order::in_order;
use super::wanted::{Condition, Wanted};
use super::{Action, Error, OnFailure, Plan};
use crate::observe::{Container, Observed, State};
use std::collections::BTreeMap;

/// The containers of these services (all of the project's where none is named) in the order of the services.
fn chosen<'a>(
    wanted: &'a Wanted,
    observed: &'a Observed,
    services: &[String],
) -> Result<Vec<(&'a str, Vec<&'a Container>)>, Error> {
    if let Some(unknown) = services.iter().find(|name| wanted.service(name).is_none()) {
        return Err(Error::NoSuchService { service: unknown.clone() });
    }
    let all = in_order(wanted)?;
    let chosen = all.iter().filter(|s| services.is_empty() || services.contains(&s.name));
    Ok(chosen.map(|s| (s.name.as_str(), observed.of_service(&s.name))).collect())
}

/// Stops what runs, services that need others first.
pub fn stop(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    timeout: Option<i64>,
) -> Result<Plan, Error> {
    let mut plan = Plan { on_failure: OnFailure::GoOn, ..Plan::default() };
    let mut stopped: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (service, containers) in chosen(wanted, observed, services)?.into_iter().rev() {
        let users = wanted.services.iter().filter(|other| other.needs().any(|n| n == service));
        let after: Vec<usize> =
            users.filter_map(|user| stopped.get(user.name.as_str())).flatten().copied().collect();
        let mut steps = Vec::new();
        for container in containers.into_iter().filter(|container| container.is_running()) {
            let container = container.name.clone();
            steps.push(plan.push(Action::Stop { container, timeout }, &after));
        }
        // what waits for a service without anything to stop waits for what that waited for
        stopped.insert(service, if steps.is_empty() { after } else { steps });
    }
    Ok(plan)
}

/// Starts what does not run, each service when those it needs are as it needs them.
pub fn start(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    wait: bool,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut started: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut waits: BTreeMap<(&str, Condition, bool), usize> = BTreeMap::new();
    let chosen = chosen(wanted, observed, services)?;
    for (name, containers) in &chosen {
        let Some(service) = wanted.service(name) else { continue };
        let idle: Vec<_> = containers.iter().filter(|c| !c.is_running()).collect();
        let mut after = Vec::new();
        for dependency in service.depends_on.iter().filter(|_| !idle.is_empty()) {
            let Some((other, all)) = chosen.iter().find(|(n, _)| *n == dependency.service) else {
                continue;
            };
            let before = started.get(other).cloned().unwrap_or_default();
            if dependency.condition == Condition::Started {
                after.extend(before);
                continue;
            }
            let key = (*other, dependency.condition, dependency.required);
            let step = waits.entry(key).or_insert_with(|| {
                let containers = all.iter().map(|c| c.name.clone()).collect();
                let (service, until) = ((*other).to_owned(), dependency.condition);
                let required = dependency.required;
                plan.push(Action::Wait { service, containers, until, required }, &before)
            });
            after.push(*step);
        }
        for other in &service.shares {
            after.extend(started.get(other.as_str()).into_iter().flatten());
        }
        let begin = |container: &&&Container| Action::Start {
            service: (*name).to_owned(),
            container: container.name.clone(),
        };
        let steps = idle.iter().map(|container| plan.push(begin(container), &after)).collect();
        started.insert(name, steps);
    }
    if wait {
        for (service, containers) in &chosen {
            let action = Action::Wait {
                service: (*service).to_owned(),
                containers: containers.iter().map(|c| c.name.clone()).collect(),
                until: Condition::Ready,
                required: true,
            };
            let after = started.get(service).cloned().unwrap_or_default();
            plan.push(action, &after);
        }
    }
    Ok(plan)
}

/// Restarts them in the order of the services, and unless `alone` those that ask for it when others are (`restart: true`).
pub fn restart(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    timeout: Option<i64>,
    alone: bool,
) -> Result<Plan, Error> {
    let mut names: Vec<String> = services.to_vec();
    if !services.is_empty() && !alone {
        for service in in_order(wanted)? {
            let mut all = service.depends_on.iter();
            if all.any(|d| d.restart && names.contains(&d.service))
                && !names.contains(&service.name)
            {
                names.push(service.name.clone());
            }
        }
    }
    let mut plan = Plan::default();
    let mut done: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (service, containers) in chosen(wanted, observed, &names)? {
        let needs = wanted.service(service).into_iter().flat_map(|service| service.needs());
        let after: Vec<usize> =
            needs.filter_map(|needed| done.get(needed)).flatten().copied().collect();
        let restart = |container: &Container| Action::Restart {
            service: service.to_owned(),
            container: container.name.clone(),
            timeout,
        };
        let steps = containers.into_iter().map(|c| plan.push(restart(c), &after)).collect();
        done.insert(service, steps);
    }
    Ok(plan)
}

fn each(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    act: impl Fn(&Container) -> Option<Action>,
) -> Result<Plan, Error> {
    let mut plan = Plan { on_failure: OnFailure::GoOn, ..Plan::default() };
    for (_, containers) in chosen(wanted, observed, services)? {
        for action in containers.into_iter().filter_map(&act) {
            plan.push(action, &[]);
        }
    }
    Ok(plan)
}

/// Sends all that run a signal.
pub fn kill(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    signal: Option<&str>,
) -> Result<Plan, Error> {
    each(wanted, observed, services, |container| {
        let signal = signal.map(str::to_owned);
        container.is_running().then(|| Action::Kill { container: container.name.clone(), signal })
    })
}

pub fn pause(wanted: &Wanted, observed: &Observed, services: &[String]) -> Result<Plan, Error> {
    each(wanted, observed, services, |container| {
        let runs = container.state == State::Running;
        runs.then(|| Action::Pause { container: container.name.clone() })
    })
}

pub fn unpause(wanted: &Wanted, observed: &Observed, services: &[String]) -> Result<Plan, Error> {
    each(wanted, observed, services, |container| {
        let paused = container.state == State::Paused;
        paused.then(|| Action::Unpause { container: container.name.clone() })
    })
}

/// `rm`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remove {
    /// Stop those that run first; otherwise they stay.
    pub stop: bool,
    /// Their anonymous volumes as well.
    pub volumes: bool,
}

/// Removes containers, those of `run` among them.
pub fn remove(
    wanted: &Wanted,
    observed: &Observed,
    services: &[String],
    options: Remove,
) -> Result<Plan, Error> {
    let mut plan = match options.stop {
        true => stop(wanted, observed, services, None)?,
        false => Plan { on_failure: OnFailure::GoOn, ..Plan::default() },
    };
    let stops = plan.steps.clone();
    for (service, _) in chosen(wanted, observed, services)? {
        let all = observed.containers.iter().filter(|container| container.service() == service);
        for container in all.filter(|container| options.stop || !container.is_running()) {
            let ends = |action: &Action| matches!(action, Action::Stop { container: name, .. } if *name == container.name);
            let after: Vec<usize> =
                stops.iter().position(|step| ends(&step.action)).into_iter().collect();
            let name = container.name.clone();
            plan.push(Action::Remove { container: name, volumes: options.volumes }, &after);
        }
    }
    Ok(plan)
}
