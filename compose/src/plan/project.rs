//! A plan's facts from a project.

use super::wanted::{Condition, Dependency, Named, Service, Wanted};
use crate::model::{self, Project};
use std::collections::BTreeMap;

/// What a project does not say by itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Between the parts of a container's name: `-`, or `_` with `--compatibility`.
    pub separator: char,
    /// By service: the id of its image.
    pub images: &'a BTreeMap<String, String>,
    /// By service, network and volume: what it is made from, as a digest.
    pub services: &'a BTreeMap<String, String>,
    pub networks: &'a BTreeMap<String, String>,
    pub volumes: &'a BTreeMap<String, String>,
}

impl Wanted {
    /// The enabled services of a project, with the networks and volumes that they use.
    pub fn of(project: &Project, facts: Facts<'_>) -> Self {
        let known = project.services.keys().chain(project.disabled.keys()).cloned();
        let services: Vec<Service> =
            project.services.values().map(|service| wanted(project, service, facts)).collect();
        let used = |pick: fn(&Service) -> &Vec<String>, key: &String| {
            services.iter().any(|service| pick(service).contains(key))
        };
        let networks = project.networks.iter().filter(|(key, _)| used(|s| &s.networks, key));
        let networks = networks
            .map(|(key, network)| named(key, &network.name, network.external, facts.networks));
        let volumes = project.volumes.iter().filter(|(key, _)| used(|s| &s.volumes, key));
        let volumes =
            volumes.map(|(key, volume)| named(key, &volume.name, volume.external, facts.volumes));
        Self {
            project: project.name.clone(),
            separator: facts.separator,
            known: known.collect(),
            networks: networks.collect(),
            volumes: volumes.collect(),
            services,
        }
    }
}

fn named(key: &str, name: &str, external: bool, hashes: &BTreeMap<String, String>) -> Named {
    let hash = hashes.get(key).cloned().unwrap_or_default();
    Named { key: key.to_owned(), name: name.to_owned(), hash, external }
}

fn wanted(project: &Project, service: &model::Service, facts: Facts<'_>) -> Service {
    let of = |map: &BTreeMap<String, String>| map.get(&service.name).cloned().unwrap_or_default();
    let volumes = service.volumes.iter().map(|mount| &mount.source);
    Service {
        name: service.name.clone(),
        hash: of(facts.services),
        image: of(facts.images),
        scale: u32::try_from(service.replicas().max(0)).unwrap_or(u32::MAX),
        container_name: Some(service.container_name.clone()).filter(|name| !name.is_empty()),
        depends_on: service.depends_on.iter().map(dependency).collect(),
        shares: shares(service),
        networks: service
            .networks
            .keys()
            .filter(|key| project.networks.contains_key(*key))
            .cloned()
            .collect(),
        volumes: volumes.filter(|key| project.volumes.contains_key(*key)).cloned().collect(),
    }
}

fn dependency((service, dependency): (&String, &model::Dependency)) -> Dependency {
    let condition = match dependency.condition.as_str() {
        "service_healthy" => Condition::Healthy,
        "service_completed_successfully" => Condition::Completed,
        _ => Condition::Started,
    };
    Dependency {
        service: service.clone(),
        condition,
        required: dependency.required,
        restart: dependency.restart,
    }
}

/// The services whose network, processes, memory or volumes it takes.
fn shares(service: &model::Service) -> Vec<String> {
    let modes = [&service.network_mode, &service.pid, &service.ipc];
    let modes = modes.into_iter().filter_map(|mode| mode.strip_prefix("service:"));
    let volumes = service.volumes_from.iter().filter(|from| !from.starts_with("container:"));
    let volumes = volumes.map(|from| from.split(':').next().unwrap_or(from));
    let mut shares: Vec<String> = modes.chain(volumes).map(str::to_owned).collect();
    shares.sort();
    shares.dedup();
    shares
}
