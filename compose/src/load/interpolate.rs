//! Variables in the values of a file, and the kinds that values then must have.

use super::error::Error;
use super::limits::Budget;
use super::template::{Failure, Variables, substitute};
use super::trail::Trail;
use super::warning::{Warning, Warnings};
use crate::model::scalar::{boolean, decimal};
use crate::node::{Kind, Node};

#[derive(Clone, Copy)]
enum Cast {
    Int,
    Float,
    Bool,
}

/// Where text must become a number or a boolean.
const CASTS: &[(&str, Cast)] = &[
    ("services.*.cpu_count", Cast::Int),
    ("services.*.cpu_percent", Cast::Float),
    ("services.*.cpu_period", Cast::Int),
    ("services.*.cpu_quota", Cast::Int),
    ("services.*.cpu_rt_period", Cast::Int),
    ("services.*.cpu_rt_runtime", Cast::Int),
    ("services.*.cpus", Cast::Float),
    ("services.*.cpu_shares", Cast::Int),
    ("services.*.init", Cast::Bool),
    ("services.*.deploy.replicas", Cast::Int),
    ("services.*.deploy.update_config.parallelism", Cast::Int),
    ("services.*.deploy.update_config.max_failure_ratio", Cast::Float),
    ("services.*.deploy.rollback_config.parallelism", Cast::Int),
    ("services.*.deploy.rollback_config.max_failure_ratio", Cast::Float),
    ("services.*.deploy.restart_policy.max_attempts", Cast::Int),
    ("services.*.deploy.placement.max_replicas_per_node", Cast::Int),
    ("services.*.healthcheck.retries", Cast::Int),
    ("services.*.healthcheck.disable", Cast::Bool),
    ("services.*.oom_kill_disable", Cast::Bool),
    ("services.*.oom_score_adj", Cast::Int),
    ("services.*.pids_limit", Cast::Int),
    ("services.*.ports.*.target", Cast::Int),
    ("services.*.privileged", Cast::Bool),
    ("services.*.read_only", Cast::Bool),
    ("services.*.scale", Cast::Int),
    ("services.*.stdin_open", Cast::Bool),
    ("services.*.tty", Cast::Bool),
    ("services.*.ulimits.*", Cast::Int),
    ("services.*.ulimits.*.hard", Cast::Int),
    ("services.*.ulimits.*.soft", Cast::Int),
    ("services.*.volumes.*.read_only", Cast::Bool),
    ("services.*.volumes.*.volume.nocopy", Cast::Bool),
    ("networks.*.external", Cast::Bool),
    ("networks.*.internal", Cast::Bool),
    ("networks.*.attachable", Cast::Bool),
    ("networks.*.enable_ipv4", Cast::Bool),
    ("networks.*.enable_ipv6", Cast::Bool),
    ("volumes.*.external", Cast::Bool),
    ("secrets.*.external", Cast::Bool),
    ("configs.*.external", Cast::Bool),
];

/// Replaces the variables of a tree, in place.
pub(crate) struct Interpolation<'a> {
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    pub warnings: &'a mut Warnings,
    pub budget: &'a mut Budget,
}

impl Variables for Interpolation<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    fn unset(&mut self, name: &str) {
        self.warnings.add(Warning::Unset { name: name.to_owned() });
    }
}

impl Interpolation<'_> {
    pub fn apply(&mut self, node: &mut Node, trail: &mut Trail) -> Result<(), Error> {
        match &mut node.kind {
            Kind::Map(map) => {
                for (key, entry) in map.iter_mut() {
                    trail.within(key, |trail| self.apply(&mut entry.node, trail))?;
                }
            }
            Kind::List(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    trail.within(&index.to_string(), |trail| self.apply(item, trail))?;
                }
            }
            Kind::Text(text) => {
                if text.contains('$') {
                    let (place, path) = (node.place.clone(), trail.to_string());
                    let new = substitute(text, self).map_err(|failure| match failure {
                        Failure::Invalid => {
                            Error::Template { place: place.clone(), path, text: text.clone() }
                        }
                        Failure::TooMuch => Error::TooMuch { place: place.clone() },
                        Failure::Required { name, reason } => {
                            Error::Required { place: place.clone(), path, name, reason }
                        }
                    })?;
                    self.budget.take(0, new.len().saturating_sub(text.len()), &place)?;
                    *text = new;
                }
                if let Some(cast) = trail.find(CASTS) {
                    self.cast(node, cast, trail)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cast(&mut self, node: &mut Node, cast: Cast, trail: &Trail) -> Result<(), Error> {
        let Kind::Text(text) = &node.kind else { return Ok(()) };
        let (kind, expected) = match cast {
            Cast::Int => {
                (text.parse().ok().map(|value: i64| Kind::Int(value.into())), "whole number")
            }
            Cast::Float => (decimal(text).map(Kind::Float), "number"),
            Cast::Bool => (boolean(text).map(Kind::Bool), "boolean"),
        };
        let kind = kind.ok_or_else(|| Error::Cast {
            place: node.place.clone(),
            path: trail.to_string(),
            text: text.clone(),
            expected,
        })?;
        let is_old = !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false");
        if matches!(cast, Cast::Bool) && is_old {
            let (place, text) = (node.place.clone(), text.clone());
            self.warnings.add(Warning::Boolean { place, text });
        }
        node.kind = kind;
        Ok(())
    }
}
