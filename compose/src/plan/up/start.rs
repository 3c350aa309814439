//! The second half of `up`: containers start when everything they wait for is as it should be.

use super::{Outcome, Planner};
use crate::observe::{Container, State};
use crate::plan::Action;
use crate::plan::wanted::{Condition, Service};
use std::collections::BTreeSet;

impl<'a> Planner<'a> {
    /// Starts a service's containers that do not run when everything they wait for is as it should be.
    pub(super) fn start(&mut self, service: &'a Service) {
        let Some(outcome) = self.outcomes.remove(service.name.as_str()) else { return };
        let kept = outcome.kept.iter().copied();
        let idle: Vec<&Container> = kept
            .filter(|container| {
                outcome.restarts || !container.is_running() || container.state == State::Paused
            })
            .collect();
        let fresh = outcome
            .names
            .iter()
            .filter(|name| !outcome.kept.iter().any(|kept| kept.name == **name));
        let fresh: Vec<String> = fresh.cloned().collect();
        let mut started = Vec::new();
        if !idle.is_empty() || !fresh.is_empty() {
            let mut after = self.waits(service);
            after.extend(&outcome.made);
            for container in idle {
                started.push(self.begin(service, container, &after));
            }
            for container in fresh {
                let service = service.name.clone();
                started.push(self.plan.push(Action::Start { service, container }, &after));
            }
        }
        self.outcomes.insert(&service.name, Outcome { started, ..outcome });
    }

    fn begin(&mut self, service: &Service, container: &Container, after: &[usize]) -> usize {
        let (service, name) = (service.name.clone(), container.name.clone());
        match container.state {
            State::Paused => self.plan.push(Action::Unpause { container: name }, after),
            State::Running | State::Restarting => {
                let timeout = self.options.timeout;
                self.plan.push(Action::Restart { service, container: name, timeout }, after)
            }
            State::Created | State::Exited(_) => {
                self.plan.push(Action::Start { service, container: name }, after)
            }
        }
    }

    /// The steps after which a service's dependencies are as it needs them.
    fn waits(&mut self, service: &Service) -> Vec<usize> {
        let mut after = Vec::new();
        for dependency in &service.depends_on {
            let condition = dependency.condition;
            let Some(outcome) = self.outcomes.get(dependency.service.as_str()) else { continue };
            let known = outcome.waits.get(&(condition, dependency.required));
            let step = match (condition, known) {
                (Condition::Started, _) => {
                    after.extend(&outcome.started);
                    continue;
                }
                (_, Some(step)) => *step,
                _ => self.wait(&dependency.service, condition, dependency.required),
            };
            after.push(step);
        }
        // what is shared has to run
        for other in service.shares.iter().filter_map(|other| self.outcomes.get(other.as_str())) {
            after.extend(&other.started);
        }
        after
    }

    fn wait(&mut self, service: &str, until: Condition, required: bool) -> usize {
        let (containers, started) = match self.outcomes.get(service) {
            Some(outcome) => (outcome.names.clone(), outcome.started.clone()),
            None => (Vec::new(), Vec::new()),
        };
        let action = Action::Wait { service: service.to_owned(), containers, until, required };
        let step = self.plan.push(action, &started);
        if let Some(outcome) = self.outcomes.get_mut(service) {
            outcome.waits.insert((until, required), step);
        }
        step
    }

    pub(super) fn wait_for_all(&mut self) {
        let chosen: BTreeSet<&str> = self.options.services.iter().map(String::as_str).collect();
        let all: Vec<String> = self.outcomes.keys().map(|name| (*name).to_owned()).collect();
        for service in all {
            let is_chosen = chosen.is_empty() || chosen.contains(service.as_str());
            // what ends by itself is not to be ready
            let is_job = self
                .wanted
                .services
                .iter()
                .flat_map(|other| &other.depends_on)
                .any(|d| d.service == service && d.condition == Condition::Completed);
            if is_chosen {
                let until = if is_job { Condition::Completed } else { Condition::Ready };
                self.wait(&service, until, true);
            }
        }
    }
}
