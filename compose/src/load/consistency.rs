//! What the parts of a project say about each other.

use std::collections::{BTreeMap, HashMap};

use super::error::Error;
use super::warning::{Warning, Warnings};
use crate::model::{Project, Service};
use crate::node::Place;

struct Check<'a> {
    project: &'a Project,
    service: &'a Service,
}

/// Refuses references to what is not there, settings that contradict each other, and cycles of dependencies.
pub(crate) fn check(project: &mut Project) -> Result<(), Error> {
    for service in project.services.values() {
        let check = Check { project, service };
        check.image()?;
        check.networks()?;
        check.dependencies()?;
        check.mounts()?;
        check.files()?;
        check.limits()?;
        check.replicas()?;
    }
    for (name, secret) in &project.secrets {
        let secret = &secret.0;
        if !secret.external && secret.file.is_empty() && secret.environment.is_empty() {
            let problem = format!("the secret '{name}' must have 'file' or 'environment'");
            return Err(inconsistent(project, &format!("secrets.{name}"), problem));
        }
    }
    container_names(project)?;
    cycles(project)?;
    // of the two ways to say it, the shorter one counts
    for service in project.services.values_mut() {
        if let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) {
            deploy.replicas = Some(scale);
        }
    }
    Ok(())
}

fn inconsistent(project: &Project, path: &str, problem: String) -> Error {
    Error::Inconsistent { place: near(project, path), problem, nearest: None }
}

/// Where a key stands, or else what it is in.
fn near(project: &Project, path: &str) -> Option<Place> {
    let mut at = path;
    loop {
        match project.place(at) {
            Some(place) => return Some(place.clone()),
            None => at = at.rsplit_once('.')?.0,
        }
    }
}

impl Check<'_> {
    /// An error about a key of the service.
    fn fail<T>(&self, key: &str, problem: String) -> Result<T, Error> {
        let path = format!("services.{}.{key}", self.service.name);
        let problem = format!("service {}: {problem}", self.service.name);
        Err(inconsistent(self.project, path.trim_end_matches('.'), problem))
    }

    /// An error about a name that nobody has declared.
    fn unknown<'a, T>(
        &self,
        key: &str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Result<T, Error> {
        let problem = format!("there is no {what} '{name}'");
        self.fail(key, problem).map_err(|error| match error {
            Error::Inconsistent { place, problem, .. } => {
                let nearest = super::nearest(name, known.map(String::as_str)).map(str::to_owned);
                Error::Inconsistent { place, problem, nearest }
            }
            other => other,
        })
    }

    fn image(&self) -> Result<(), Error> {
        let service = self.service;
        let Some(build) = &service.build else {
            if service.image.is_empty() && service.provider.is_none() {
                return self.fail("", "it has neither 'image' nor 'build'".into());
            }
            return Ok(());
        };
        if !build.dockerfile.is_empty() && !build.dockerfile_inline.is_empty() {
            let problem = "'dockerfile' and 'dockerfile_inline' cannot stand together".into();
            return self.fail("build.dockerfile_inline", problem);
        }
        for (name, context) in &build.additional_contexts.0 {
            let Some(other) = context.strip_prefix("service:") else { continue };
            let key = format!("build.additional_contexts.{name}");
            match self.project.services.get(other) {
                None => {
                    return self.unknown(&key, "service", other, self.project.services.keys());
                }
                Some(other) if other.build.is_none() => {
                    let problem = format!("the service '{}' is not built", other.name);
                    return self.fail(&key, problem);
                }
                Some(_) => {}
            }
        }
        let platform = &service.platform;
        if !build.platforms.is_empty()
            && !platform.is_empty()
            && !build.platforms.contains(platform)
        {
            let problem = format!("it is not built for its platform '{platform}'");
            return self.fail("build.platforms", problem);
        }
        Ok(())
    }

    fn networks(&self) -> Result<(), Error> {
        let service = self.service;
        if !service.network_mode.is_empty() && !service.networks.is_empty() {
            let problem = "'network_mode' and 'networks' cannot stand together".into();
            return self.fail("network_mode", problem);
        }
        let known = &self.project.networks;
        if let Some(name) = service.networks.keys().find(|name| !known.contains_key(*name)) {
            return self.unknown(&format!("networks.{name}"), "network", name, known.keys());
        }
        Ok(())
    }

    fn dependencies(&self) -> Result<(), Error> {
        if let Some(first) =
            self.service.healthcheck.as_ref().and_then(|check| check.test.0.first())
            && !["CMD", "CMD-SHELL", "NONE"].contains(&first.as_str())
        {
            let problem = "'test' as a list begins with CMD, CMD-SHELL or NONE".into();
            return self.fail("healthcheck.test", problem);
        }
        for (name, need) in &self.service.depends_on {
            match self.project.service(name) {
                Ok(_) => {}
                Err(missing) if missing.disabled && !need.required => {}
                Err(missing) if missing.disabled => {
                    let problem = format!("it depends on '{name}', whose profiles are not active");
                    return self.fail(&format!("depends_on.{name}"), problem);
                }
                Err(_) => {
                    let known = self.project.services.keys();
                    return self.unknown(&format!("depends_on.{name}"), "service", name, known);
                }
            }
        }
        Ok(())
    }

    fn mounts(&self) -> Result<(), Error> {
        let mut taken: HashMap<&str, String> = HashMap::new();
        for (index, tmpfs) in self.service.tmpfs.iter().enumerate() {
            let target = tmpfs.split(':').next().unwrap_or_default();
            self.mount(&mut taken, target, format!("tmpfs.{index}"))?;
        }
        for (index, volume) in self.service.volumes.iter().enumerate() {
            let key = format!("volumes.{index}");
            let (known, name) = (&self.project.volumes, &volume.source);
            if volume.kind == "volume" && !name.is_empty() && !known.contains_key(name) {
                return self.unknown(&key, "volume", name, known.keys());
            }
            self.mount(&mut taken, &volume.target, key)?;
        }
        Ok(())
    }

    fn mount<'b>(
        &self,
        taken: &mut HashMap<&'b str, String>,
        target: &'b str,
        key: String,
    ) -> Result<(), Error> {
        match taken.insert(target, key.clone()) {
            None => Ok(()),
            Some(first) => {
                let path = format!("services.{}.{first}", self.service.name);
                let first = near(self.project, &path).map_or(first, |place| place.to_string());
                self.fail(&key, format!("something is mounted on {target} already, at {first}"))
            }
        }
    }

    fn files(&self) -> Result<(), Error> {
        let service = self.service;
        let (secrets, configs) = (&self.project.secrets, &self.project.configs);
        let build =
            service.build.iter().flat_map(|build| &build.secrets).map(|f| ("build.secrets", f));
        let own = service.secrets.iter().map(|file| ("secrets", file));
        for (key, file) in build.chain(own) {
            if !secrets.contains_key(&file.source) {
                return self.unknown(key, "secret", &file.source, secrets.keys());
            }
        }
        if let Some(file) = service.configs.iter().find(|f| !configs.contains_key(&f.source)) {
            return self.unknown("configs", "config", &file.source, configs.keys());
        }
        let models = &self.project.models;
        if let Some(name) = service.models.keys().find(|name| !models.contains_key(*name)) {
            return self.unknown(&format!("models.{name}"), "model", name, models.keys());
        }
        let watch = service.develop.iter().flat_map(|develop| &develop.watch);
        for (index, trigger) in watch.enumerate() {
            let whole = ["rebuild", "restart"].contains(&trigger.action.as_str());
            if trigger.target.is_empty() && !whole {
                let problem = format!("'{}' needs a 'target'", trigger.action);
                return self.fail(&format!("develop.watch.{index}"), problem);
            }
        }
        Ok(())
    }

    /// The old keys and those of `deploy` must agree.
    fn limits(&self) -> Result<(), Error> {
        let service = self.service;
        let Some(deploy) = &service.deploy else { return Ok(()) };
        let differ = |key: &str, other: &str| {
            self.fail(key, format!("'{key}' and 'deploy.resources.{other}' differ"))
        };
        if let Some(limits) = &deploy.resources.limits {
            if service.cpus != 0.0 && service.cpus != limits.cpus {
                return differ("cpus", "limits.cpus");
            }
            if service.mem_limit.0 != 0 && service.mem_limit != limits.memory {
                return differ("mem_limit", "limits.memory");
            }
            if service.pids_limit != 0 && service.pids_limit != limits.pids {
                return differ("pids_limit", "limits.pids");
            }
        }
        if let Some(reserved) = &deploy.resources.reservations
            && service.mem_reservation.0 != 0
            && service.mem_reservation != reserved.memory
        {
            return differ("mem_reservation", "reservations.memory");
        }
        Ok(())
    }

    fn replicas(&self) -> Result<(), Error> {
        let service = self.service;
        let deployed = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        if let (Some(scale), Some(deployed)) = (service.scale, deployed)
            && scale != deployed
        {
            return self.fail("scale", "'scale' and 'deploy.replicas' differ".into());
        }
        let key = if service.scale.is_some() { "scale" } else { "deploy.replicas" };
        if service.replicas() < 0 {
            return self.fail(key, format!("'{key}' cannot be less than 0"));
        }
        if service.replicas() > 1 && !service.container_name.is_empty() {
            let problem = format!("with a 'container_name' there can be one only, not '{key}'");
            return self.fail(key, problem);
        }
        Ok(())
    }
}

fn container_names(project: &Project) -> Result<(), Error> {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for service in project.services.values().filter(|s| !s.container_name.is_empty()) {
        if let Some(first) = taken.insert(&service.container_name, &service.name) {
            let path = |name: &str| format!("services.{name}.container_name");
            let first = project.place(&path(first)).map(Place::to_string).unwrap_or_default();
            let problem =
                format!("the name '{}' is taken already, at {first}", service.container_name);
            return Err(inconsistent(project, &path(&service.name), problem));
        }
    }
    Ok(())
}

/// Finds a cycle of dependencies, by going down from each service once; the way is kept in a list, as a chain of
/// services may be long.
fn cycles(project: &Project) -> Result<(), Error> {
    let mut done: BTreeMap<&str, bool> = BTreeMap::new();
    for start in project.services.keys() {
        let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
        let needs = |name: &str| -> Vec<&str> {
            let service = project.services.get(name);
            service.into_iter().flat_map(|s| s.depends_on.keys().map(String::as_str)).collect()
        };
        if !done.contains_key(start.as_str()) {
            way.push((start, needs(start)));
            done.insert(start, false);
        }
        while let Some((name, open)) = way.last_mut() {
            let Some(next) = open.pop() else {
                done.insert(name, true);
                way.pop();
                continue;
            };
            match done.get(next) {
                Some(true) => {}
                None => {
                    done.insert(next, false);
                    way.push((next, needs(next)));
                }
                Some(false) => {
                    let from = way.iter().position(|(name, _)| *name == next).unwrap_or(0);
                    let names: Vec<&str> = way[from..].iter().map(|(name, _)| *name).collect();
                    return Err(cycle(project, &names));
                }
            }
        }
    }
    Ok(())
}

fn cycle(project: &Project, names: &[&str]) -> Error {
    let steps = names.iter().enumerate().map(|(index, name)| {
        let next = names[(index + 1) % names.len()];
        let keys = [format!("services.{name}.depends_on.{next}"), format!("services.{name}")];
        let place = keys.iter().find_map(|key| project.place(key)).cloned();
        let place = place.unwrap_or_else(|| Place { file: (*name).into(), line: 1, column: 1 });
        (place, format!("{next}, which {name} depends on"))
    });
    Error::Cycle { what: "needs", steps: steps.collect() }
}

/// Says what works and is probably not meant.
pub(crate) fn warn(project: &Project, warnings: &mut Warnings) {
    for service in project.services.values() {
        let alone = service
            .healthcheck
            .as_ref()
            .is_some_and(|h| h.start_interval.is_some() && h.start_period.is_none());
        let path = format!("services.{}.healthcheck.start_interval", service.name);
        if let (true, Some(place)) = (alone, project.place(&path)) {
            warnings.add(Warning::StartInterval { place: place.clone() });
        }
    }
    for (port, first, place) in project.port_clashes() {
        warnings.add(Warning::Port { place, first, port });
    }
}
