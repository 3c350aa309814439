//! `down`: containers stop, those that need others first; then they, the networks, and with `--volumes` the volumes are removed.

use super::order::in_order;
use super::wanted::{Named, Wanted};
use super::{Action, Error, OnFailure, Plan};
use crate::observe::{Container, Observed, Thing};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Down {
    /// The services that were named; empty: all.
    pub services: Vec<String>,
    pub remove_orphans: bool,
    /// Volumes that the project declares, and anonymous ones.
    pub volumes: bool,
    /// `--rmi`: these are removed as well.
    pub images: Vec<String>,
    pub timeout: Option<i64>,
}

/// Plans it. Without files (`wanted` is `None`) all that carries the project's label is meant.
pub fn down(wanted: Option<&Wanted>, observed: &Observed, options: &Down) -> Result<Plan, Error> {
    let mut plan = Plan { on_failure: OnFailure::GoOn, ..Plan::default() };
    let needs = needs(wanted, observed)?;
    let is_meant = |container: &&Container| {
        let service = container.service();
        let known = wanted.is_none_or(|wanted| wanted.known.iter().any(|name| name == service));
        match options.services.is_empty() {
            true => known || options.remove_orphans || container.is_one_off(),
            false => options.services.iter().any(|name| name == service),
        }
    };
    let (meant, rest): (Vec<&Container>, Vec<&Container>) =
        observed.containers.iter().partition(is_meant);
    let orphans: Vec<&str> = rest.iter().map(|container| container.name.as_str()).collect();
    if options.services.is_empty() && !orphans.is_empty() {
        plan.warnings.push(format!(
            "containers of services that the project no longer has stay: {}; --remove-orphans removes them",
            orphans.join(", ")
        ));
    }
    let removed = containers(&mut plan, &meant, &needs, options);
    if options.services.is_empty() {
        things(&mut plan, wanted, observed, options, &removed);
    }
    for image in &options.images {
        plan.push(Action::RemoveImage { image: image.clone() }, &removed);
    }
    Ok(plan)
}

/// For each service those that need it; by the files, or else by the containers' labels.
fn needs(
    wanted: Option<&Wanted>,
    observed: &Observed,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut needed_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |needed: &str, by: &str| {
        needed_by.entry(needed.to_owned()).or_default().push(by.to_owned());
    };
    match wanted {
        Some(wanted) => {
            in_order(wanted)?;
            for service in &wanted.services {
                service.needs().for_each(|needed| add(needed, &service.name));
            }
        }
        None => {
            for container in &observed.containers {
                container.depends_on().for_each(|needed| add(needed, container.service()));
            }
        }
    }
    Ok(needed_by)
}

/// Stops and removes them; returns the steps that remove.
fn containers(
    plan: &mut Plan,
    meant: &[&Container],
    needed_by: &BTreeMap<String, Vec<String>>,
    options: &Down,
) -> Vec<usize> {
    // those that nobody needs first: a service's turn comes when all that need it had theirs. Labels can form a circle; what
    // is in one goes when nothing else is left
    let mut waiting: Vec<&str> = meant.iter().map(|container| container.service()).collect();
    waiting.sort_unstable();
    waiting.dedup();
    let mut ended: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut removed = Vec::new();
    while !waiting.is_empty() {
        let users = |service: &str| needed_by.get(service).map(Vec::as_slice).unwrap_or_default();
        let is_free = |service: &&str| {
            users(service).iter().all(|user| user == service || !waiting.contains(&user.as_str()))
        };
        let free: Vec<&str> = waiting.iter().copied().filter(is_free).collect();
        let next = if free.is_empty() { waiting.clone() } else { free };
        for service in &next {
            let before: Vec<usize> = users(service)
                .iter()
                .filter_map(|user| ended.get(user.as_str()))
                .flatten()
                .copied()
                .collect();
            let mut ends = Vec::new();
            for container in meant.iter().filter(|container| container.service() == *service) {
                let mut after = before.clone();
                if container.is_running() {
                    let (container, timeout) = (container.name.clone(), options.timeout);
                    after = vec![plan.push(Action::Stop { container, timeout }, &before)];
                }
                let remove =
                    Action::Remove { container: container.name.clone(), volumes: options.volumes };
                let step = plan.push(remove, &after);
                removed.push(step);
                ends.push(step);
            }
            ended.insert(service, ends);
        }
        waiting.retain(|service| !next.contains(service));
    }
    removed
}

fn things(
    plan: &mut Plan,
    wanted: Option<&Wanted>,
    observed: &Observed,
    options: &Down,
    removed: &[usize],
) {
    // another project's may have a name that this one wants
    let is_own = |wanted: &Wanted, thing: &Thing| thing.project() == Some(&wanted.project);
    let is_external = |all: &[Named], name: &str| all.iter().any(|n| n.name == name && n.external);
    for network in &observed.networks {
        let name = &network.name;
        if wanted.is_none_or(|w| is_own(w, network) && !is_external(&w.networks, name)) {
            plan.push(Action::RemoveNetwork { name: name.clone() }, removed);
        }
    }
    // data goes only where the files still declare it
    let is_declared = |all: &[Named], name: &str| all.iter().any(|n| n.name == name && !n.external);
    for volume in observed.volumes.iter().filter(|_| options.volumes) {
        let name = &volume.name;
        if wanted.is_none_or(|w| is_own(w, volume) && is_declared(&w.volumes, name)) {
            plan.push(Action::RemoveVolume { name: name.clone() }, removed);
        }
    }
}
