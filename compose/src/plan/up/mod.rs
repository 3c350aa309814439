//! `up` and `create`: what is missing is made, what is out of date is made anew, the rest is left alone.

mod start;

use super::order::in_order;
use super::wanted::{Condition, Service, Wanted};
use super::{Action, Error, Plan};
use crate::observe::{Container, Observed, Thing};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// When a container that is there is made anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recreate {
    /// When its configuration or its image is another one.
    #[default]
    Diverged,
    Always,
    Never,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Up {
    /// The services that were named; empty: all.
    pub services: Vec<String>,
    pub recreate: Recreate,
    /// The same for services that are only needed by others.
    pub recreate_dependencies: Recreate,
    /// Otherwise they are only made.
    pub start: bool,
    /// Wait until all are ready.
    pub wait: bool,
    /// New containers get new anonymous volumes.
    pub renew_anonymous_volumes: bool,
    pub remove_orphans: bool,
    /// Seconds, for containers that are stopped.
    pub timeout: Option<i64>,
}

/// Plans it. Steps for one service come together, in the order of the services.
pub fn up(wanted: &Wanted, observed: &Observed, options: &Up) -> Result<Plan, Error> {
    for name in &options.services {
        if wanted.service(name).is_none() {
            return Err(Error::NoSuchService { service: name.clone() });
        }
    }
    let services = in_order(wanted)?;
    let (observed, renames) = finished(observed);
    let mut planner = Planner {
        wanted,
        observed: &observed,
        options,
        plan: Plan::default(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        stopped: BTreeMap::new(),
        outcomes: BTreeMap::new(),
    };
    for (from, to) in &renames {
        planner.plan.push(Action::Rename { from: from.clone(), to: to.clone() }, &[]);
    }
    planner.orphans();
    planner.choose(&services)?;
    planner.networks(&services)?;
    planner.volumes()?;
    for service in &services {
        planner.containers(service);
    }
    if options.start {
        for service in &services {
            planner.start(service);
        }
    }
    if options.start && options.wait {
        planner.wait_for_all();
    }
    Ok(planner.plan)
}

/// A replacement that was interrupted when the old container was gone already: with its name, which it is to get, it is as good
/// as any.
fn finished(observed: &Observed) -> (Observed, Vec<(String, String)>) {
    let mut finished = observed.clone();
    let mut renames = Vec::new();
    for container in &mut finished.containers {
        let to = container.replaces().filter(|to| observed.container(to).is_none());
        if let Some(to) = to.map(str::to_owned) {
            renames.push((std::mem::replace(&mut container.name, to.clone()), to));
        }
    }
    (finished, renames)
}

impl Recreate {
    /// `--force-recreate`, `--no-recreate`
    pub fn asked(always: bool, never: bool) -> Self {
        match (always, never) {
            (true, _) => Self::Always,
            (_, true) => Self::Never,
            _ => Self::Diverged,
        }
    }
}

/// What becomes of a service's containers.
#[derive(Debug, Default)]
struct Outcome<'a> {
    kept: Vec<&'a Container>,
    recreated: Vec<&'a Container>,
    surplus: Vec<&'a Container>,
    /// Numbers of those that are made.
    new: Vec<u32>,
    /// They only stop and start, since what they need is made anew.
    restarts: bool,
    /// When what restarts those that ask for it was made: the service's oldest container, or what that one restarts with.
    since: Option<Timestamp>,
    /// Steps after which all containers are there, under their names.
    made: Vec<usize>,
    /// Steps after which all containers have been started.
    started: Vec<usize>,
    /// Names of all containers in the end.
    names: Vec<String>,
    /// Steps that wait for a condition, and whether somebody cannot do without it.
    waits: BTreeMap<(Condition, bool), usize>,
}

struct Planner<'a> {
    wanted: &'a Wanted,
    observed: &'a Observed,
    options: &'a Up,
    plan: Plan,
    /// By key: the steps after which a network is as it is wanted.
    networks: BTreeMap<&'a str, Vec<usize>>,
    volumes: BTreeMap<&'a str, Vec<usize>>,
    /// By container: the step that stops it before it is made anew.
    stopped: BTreeMap<&'a str, usize>,
    outcomes: BTreeMap<&'a str, Outcome<'a>>,
}

impl<'a> Planner<'a> {
    /// Containers of services that the files no longer have.
    fn orphans(&mut self) {
        let known = |container: &&Container| {
            container.is_one_off()
                || self.wanted.known.iter().any(|name| name == container.service())
        };
        let orphans: Vec<&Container> =
            self.observed.containers.iter().filter(|container| !known(container)).collect();
        if !self.options.remove_orphans {
            if !orphans.is_empty() {
                let names: Vec<&str> = orphans.iter().map(|orphan| orphan.name.as_str()).collect();
                self.plan.warnings.push(format!(
                    "containers of services that the project no longer has: {}; --remove-orphans removes them",
                    names.join(", ")
                ));
            }
            return;
        }
        for orphan in orphans {
            self.take_away(orphan);
        }
    }

    fn take_away(&mut self, container: &Container) -> usize {
        let after = self.stop(container, &[]);
        self.remove(&container.name, &after)
    }

    /// Stops it if it runs; the step, if there is one, and those it was to come after otherwise.
    fn stop(&mut self, container: &Container, after: &[usize]) -> Vec<usize> {
        if !container.is_running() {
            return after.to_vec();
        }
        let (container, timeout) = (container.name.clone(), self.options.timeout);
        vec![self.plan.push(Action::Stop { container, timeout }, after)]
    }

    fn remove(&mut self, name: &str, after: &[usize]) -> usize {
        self.plan.push(Action::Remove { container: name.to_owned(), volumes: false }, after)
    }

    /// Decides for each container what becomes of it.
    fn choose(&mut self, services: &[&'a Service]) -> Result<(), Error> {
        for service in services {
            if let Some(name) = service.container_name.as_ref().filter(|_| service.scale > 1) {
                return Err(Error::NamedAndScaled {
                    service: service.name.clone(),
                    name: name.clone(),
                    scale: service.scale,
                });
            }
            let all = self.observed.of_service(&service.name);
            let count = usize::try_from(service.scale).unwrap_or(usize::MAX);
            let (kept, surplus) = all.split_at(count.min(all.len()));
            let recreate = self.must_recreate(service);
            let (recreated, kept) = kept.iter().copied().partition(|container| recreate(container));
            let last = all.last().map_or(0, |container| container.number());
            let missing =
                service.scale.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
            let new: Vec<u32> = (last + 1..=last + missing).collect();
            let mut outcome =
                Outcome { kept, recreated, surplus: surplus.to_vec(), new, ..Outcome::default() };
            let renewed = |name: &str| {
                self.outcomes
                    .get(name)
                    .is_some_and(|o: &Outcome<'_>| !o.recreated.is_empty() || o.restarts)
            };
            let restarts_with = service.depends_on.iter().filter(|d| d.restart);
            outcome.restarts = restarts_with.clone().any(|d| renewed(&d.service));
            // made anew before, by a command that came no further
            let since =
                restarts_with.filter_map(|d| self.outcomes.get(d.service.as_str())?.since).max();
            outcome.restarts |= outcome.kept.iter().any(|container| {
                container.is_running() && container.started.is_some_and(|own| Some(own) < since)
            });
            outcome.since = all.iter().map(|container| container.created).min().max(since);
            let old = outcome.recreated.iter().chain(&outcome.kept).map(|c| c.name.clone());
            let new = outcome.new.iter().map(|number| self.wanted.container_name(service, *number));
            outcome.names = old.chain(new).collect();
            self.outcomes.insert(&service.name, outcome);
        }
        Ok(())
    }

    fn must_recreate(&self, service: &'a Service) -> impl Fn(&Container) -> bool + use<'a> {
        let is_asked_for =
            self.options.services.is_empty() || self.options.services.contains(&service.name);
        let policy = match is_asked_for {
            true => self.options.recreate,
            false => self.options.recreate_dependencies,
        };
        // what it shares goes away with the other container
        let follows = service.shares.iter().any(|other| {
            let outcome = self.outcomes.get(other.as_str());
            outcome.is_some_and(|o| !o.recreated.is_empty() || !o.new.is_empty())
        });
        let networks = service.networks.iter();
        let networks: Vec<_> = networks
            .filter_map(|key| self.wanted.networks.iter().find(|network| network.key == *key))
            .collect();
        let on_changed = networks
            .iter()
            .any(|network| is_changed(network, self.observed.network(&network.name)));
        // it did already, and the command came no further
        let shared = service.shares.iter().filter_map(|other| {
            self.observed.of_service(other).first().map(|container| container.created)
        });
        let shared = shared.max();
        move |container| {
            // somebody took it off, or the replacement of the network was interrupted
            let is_off = networks.iter().any(|network| !container.networks.contains(&network.name));
            let other_image =
                !service.image.is_empty() && container.image() != Some(service.image.as_str());
            let diverged =
                container.config_hash() != Some(service.hash.as_str()) || other_image || is_off;
            let needed = follows || on_changed || Some(container.created) < shared;
            match policy {
                Recreate::Always => true,
                Recreate::Never => needed,
                Recreate::Diverged => diverged || needed,
            }
        }
    }

    fn networks(&mut self, services: &[&'a Service]) -> Result<(), Error> {
        let (wanted, observed) = (self.wanted, self.observed);
        for network in &wanted.networks {
            let found = observed.network(&network.name);
            let create =
                Action::CreateNetwork { key: network.key.clone(), name: network.name.clone() };
            let steps = match found {
                None if network.external => {
                    return Err(Error::ExternalNetwork { name: network.name.clone() });
                }
                None => vec![self.plan.push(create, &[])],
                Some(_) if network.external => Vec::new(),
                Some(thing) if thing.project() != Some(&wanted.project) => {
                    return Err(Error::ForeignNetwork { name: network.name.clone() });
                }
                Some(thing) if is_changed(network, Some(thing)) => {
                    let off = self.empty(&network.key, &network.name, services);
                    let remove = Action::RemoveNetwork { name: network.name.clone() };
                    let removed = self.plan.push(remove, &off);
                    vec![self.plan.push(create, &[removed])]
                }
                Some(_) => Vec::new(),
            };
            self.networks.insert(&network.key, steps);
        }
        Ok(())
    }

    /// Takes all containers off a network; they are made anew afterwards.
    fn empty(&mut self, key: &str, name: &str, services: &[&'a Service]) -> Vec<usize> {
        let mut off = Vec::new();
        for service in services.iter().filter(|service| service.networks.iter().any(|n| n == key)) {
            let outcome = self.outcomes.get(service.name.as_str());
            let recreated = outcome.map(|outcome| outcome.recreated.clone()).unwrap_or_default();
            for container in recreated {
                let after = match self.stopped.get(container.name.as_str()) {
                    Some(step) => vec![*step],
                    None => self.stop(container, &[]),
                };
                if let [step] = after[..] {
                    self.stopped.insert(&container.name, step);
                }
                let (container, network) = (container.name.clone(), name.to_owned());
                off.push(self.plan.push(Action::Disconnect { container, network }, &after));
            }
        }
        off
    }

    fn volumes(&mut self) -> Result<(), Error> {
        let (wanted, observed) = (self.wanted, self.observed);
        for volume in &wanted.volumes {
            let name = &volume.name;
            let steps = match observed.volume(name) {
                None if volume.external => {
                    return Err(Error::ExternalVolume { name: name.clone() });
                }
                None => {
                    let create =
                        Action::CreateVolume { key: volume.key.clone(), name: name.clone() };
                    vec![self.plan.push(create, &[])]
                }
                Some(_) if volume.external => Vec::new(),
                Some(thing) => {
                    if thing.project() != Some(&wanted.project) {
                        self.plan.warnings.push(format!(
                            "the volume {name} is not this project's; to use it without this warning, declare it with external: true"
                        ));
                    } else if is_changed(volume, Some(thing)) {
                        self.plan.warnings.push(format!(
                            "the volume {name} was made with another configuration, and stays as it is; 'knarr compose down -v' removes it with its data"
                        ));
                    }
                    Vec::new()
                }
            };
            self.volumes.insert(&volume.key, steps);
        }
        Ok(())
    }

    /// The steps after which there is what a service's containers are made with.
    fn before(&self, service: &Service) -> Vec<usize> {
        let networks = service.networks.iter().filter_map(|key| self.networks.get(key.as_str()));
        let volumes = service.volumes.iter().filter_map(|key| self.volumes.get(key.as_str()));
        let shared = service.shares.iter().filter_map(|other| self.outcomes.get(other.as_str()));
        let steps = networks.chain(volumes).chain(shared.map(|outcome| &outcome.made));
        steps.flatten().copied().collect()
    }

    /// Makes and removes a service's containers.
    fn containers(&mut self, service: &'a Service) {
        let mut made = self.left_halfway(service);
        let before: Vec<usize> =
            self.before(service).into_iter().chain(made.iter().copied()).collect();
        let Some(outcome) = self.outcomes.remove(service.name.as_str()) else { return };
        for container in &outcome.surplus {
            self.take_away(container);
        }
        for number in &outcome.new {
            let name = self.wanted.container_name(service, *number);
            let service = service.name.clone();
            let create = Action::Create {
                service,
                number: *number,
                name,
                replaces: None,
                keeps_volumes: false,
            };
            made.push(self.plan.push(create, &before));
        }
        for container in &outcome.recreated {
            made.push(self.replace(service, container, &before));
        }
        self.outcomes.insert(&service.name, Outcome { made, ..outcome });
    }

    /// The new one is made under another name before the old one goes: an interruption loses neither.
    fn replace(&mut self, service: &Service, old: &'a Container, before: &[usize]) -> usize {
        let stopped = self.stopped.get(old.name.as_str()).copied();
        let short: String = old.id.chars().take(12).collect();
        let name = format!("{short}_{}", old.name);
        let create = Action::Create {
            service: service.name.clone(),
            number: old.number().max(1),
            name: name.clone(),
            replaces: Some(old.name.clone()),
            keeps_volumes: !self.options.renew_anonymous_volumes,
        };
        let after: Vec<usize> = before.iter().copied().chain(stopped).collect();
        let created = self.plan.push(create, &after);
        let gone = match stopped {
            Some(_) => vec![created],
            None => self.stop(old, &[created]),
        };
        let removed = self.plan.push(
            Action::Remove {
                container: old.name.clone(),
                volumes: self.options.renew_anonymous_volumes,
            },
            &gone,
        );
        self.plan.push(Action::Rename { from: name, to: old.name.clone() }, &[removed])
    }

    /// Replacements that were interrupted before the old container was gone begin anew.
    fn left_halfway(&mut self, service: &Service) -> Vec<usize> {
        let own = self.observed.containers.iter().filter(|c| c.service() == service.name);
        let halfway: Vec<&Container> = own.filter(|c| c.replaces().is_some()).collect();
        let renamed =
            self.plan.steps.iter().take_while(|s| matches!(s.action, Action::Rename { .. }));
        let renamed: Vec<usize> = (0..renamed.count()).collect();
        halfway.into_iter().map(|container| self.take_away(container)).chain(renamed).collect()
    }
}

/// Whether what is there was made from something else. One without a hash is somebody's who knows better.
fn is_changed(named: &super::Named, found: Option<&Thing>) -> bool {
    let hash = found.and_then(Thing::config_hash);
    !named.external && hash.is_some_and(|hash| hash != named.hash)
}
