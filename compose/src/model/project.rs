//! A whole project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::mount::VolumeMount;
use super::network::Network;
use super::record::Extensions;
use super::resource::{Config, Model, Secret, Volume};
use super::service::Service;
use crate::graph;
use crate::node::Place;

/// What a set of compose files says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    pub name: String,
    /// Absolute: what relative paths are relative to.
    pub directory: PathBuf,
    /// Absolute paths of the files given (`-` for standard input), without those included or extended.
    pub files: Vec<String>,
    /// The variables that were there for substitution.
    pub environment: BTreeMap<String, String>,
    /// The profiles that are active.
    pub profiles: Vec<String>,
    /// By name, those of inactive profiles or not selected left out.
    pub services: BTreeMap<String, Service>,
    /// The services that are left out.
    pub disabled: BTreeMap<String, Service>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, Volume>,
    pub secrets: BTreeMap<String, Secret>,
    pub configs: BTreeMap<String, Config>,
    pub models: BTreeMap<String, Model>,
    pub extensions: Extensions,
    /// Where each key and list item stands: see [`Project::place`].
    pub places: BTreeMap<String, Place>,
}

/// A service that nobody has declared, or that is disabled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such service: {name}{}", if *.disabled { " (it is disabled: no profile of it is active)" } else { "" })]
pub struct NoSuchService {
    pub name: String,
    pub disabled: bool,
}

impl knarr_core::hint::Hint for NoSuchService {
    fn hint(&self) -> Option<String> {
        self.disabled.then(|| "enable a profile with --profile, or name the service".into())
    }
}

impl Project {
    /// Where a key or an item of a list stands, for errors: `services.web.ports.0`, `volumes.data.driver`. Nothing for
    /// what Compose added by itself.
    pub fn place(&self, path: &str) -> Option<&Place> {
        self.places.get(path)
    }

    pub fn service(&self, name: &str) -> Result<&Service, NoSuchService> {
        self.services.get(name).ok_or_else(|| NoSuchService {
            name: name.to_owned(),
            disabled: self.disabled.contains_key(name),
        })
    }

    /// Enables the services that have one of the profiles, and disables the others.
    pub fn set_profiles(&mut self, profiles: Vec<String>) {
        let mut all = std::mem::take(&mut self.services);
        all.append(&mut self.disabled);
        for (name, service) in all {
            let side = match service.has_profile(&profiles) {
                true => &mut self.services,
                false => &mut self.disabled,
            };
            side.insert(name, service);
        }
        self.profiles = profiles;
    }

    /// Enables services that are named on the command line, with their profiles.
    pub fn enable(&mut self, names: &[String]) {
        let more = names.iter().filter_map(|name| self.disabled.get(name));
        let more: Vec<String> = more.flat_map(|service| service.profiles.clone()).collect();
        if !names.is_empty() {
            let profiles = self.profiles.iter().cloned().chain(more).collect();
            self.set_profiles(profiles);
        }
    }

    /// Leaves only the services that are named, and those that they depend on; all if no name is given.
    pub fn select(&mut self, names: &[String]) -> Result<(), NoSuchService> {
        if names.is_empty() {
            return Ok(());
        }
        let mut wanted = BTreeSet::new();
        let mut open: Vec<(String, bool)> = names.iter().map(|n| (n.clone(), true)).collect();
        while let Some((name, required)) = open.pop() {
            match self.service(&name) {
                Err(missing) if required => return Err(missing),
                Err(_) => {}
                Ok(service) => {
                    if wanted.insert(name) {
                        let needs = service.depends_on.iter();
                        open.extend(needs.map(|(name, need)| (name.clone(), need.required)));
                    }
                }
            }
        }
        let all = std::mem::take(&mut self.services);
        for (name, mut service) in all {
            if wanted.contains(&name) {
                service.depends_on.retain(|need, _| wanted.contains(need));
                self.services.insert(name, service);
            } else {
                self.disabled.insert(name, service);
            }
        }
        Ok(())
    }

    /// The profiles of all services, enabled or not.
    pub fn profile_names(&self) -> BTreeSet<&str> {
        let all = self.services.values().chain(self.disabled.values());
        all.flat_map(|service| service.profiles.iter().map(String::as_str)).collect()
    }

    /// The names of the services, each after those that it depends on.
    pub fn in_order(&self) -> Vec<&str> {
        let needs = |name: &str| -> Vec<&str> {
            let depends_on = self.services.get(name).into_iter().flat_map(|s| s.depends_on.keys());
            depends_on
                .map(String::as_str)
                .filter(|name| self.services.contains_key(*name))
                .collect()
        };
        graph::in_order(self.services.keys().map(String::as_str), needs).names
    }

    /// Drops the networks, volumes, secrets, configs and models that no enabled service uses.
    pub fn drop_unused(&mut self) {
        let services: Vec<&Service> = self.services.values().collect();
        let used = |pick: &dyn Fn(&Service) -> Vec<String>| -> BTreeSet<String> {
            services.iter().flat_map(|service| pick(service)).collect()
        };
        let networks = used(&|s| s.networks.keys().cloned().collect());
        let volumes = used(&|s| {
            let named = |v: &&VolumeMount| v.kind == "volume" && !v.source.is_empty();
            s.volumes.iter().filter(named).map(|v| v.source.clone()).collect()
        });
        let secrets = used(&|s| {
            let build = s.build.iter().flat_map(|build| &build.secrets);
            s.secrets.iter().chain(build).map(|mount| mount.source.clone()).collect()
        });
        let configs = used(&|s| s.configs.iter().map(|mount| mount.source.clone()).collect());
        let models = used(&|s| s.models.keys().cloned().collect());
        self.networks.retain(|key, _| networks.contains(key));
        self.volumes.retain(|key, _| volumes.contains(key));
        self.secrets.retain(|key, _| secrets.contains(key));
        self.configs.retain(|key, _| configs.contains(key));
        self.models.retain(|key, _| models.contains(key));
    }
}
