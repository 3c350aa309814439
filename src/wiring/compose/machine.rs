//! Plans carried out on this machine.

use super::create::{New, container_name};
use super::wait::Waiting;
use crate::commands::Context;
use crate::error::Failure;
use crate::wiring::usages;
use ipnet::IpNet;
use knarr_compose::execute::Ops;
use knarr_compose::model::{Network, Project, Service, Volume};
use knarr_compose::observe::label;
use knarr_compose::plan::Action;
use knarr_core::id::ContainerId;
use knarr_core::spec::network::Driver;
use knarr_core::store::{self, Store};
use knarr_runtime::container::{self, remove::Remove, stop::Stop};
use knarr_runtime::net::{self, NewNetwork};
use knarr_runtime::state;
use knarr_runtime::volume::{self, NewVolume};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A project on this machine.
#[derive(Debug)]
pub struct Machine<'a> {
    pub context: &'a Context,
    pub project: &'a Project,
    pub separator: char,
    /// By service: the id of its image, where that is known.
    pub images: BTreeMap<String, String>,
    /// By service, network and volume: what it is made from.
    pub hashes: Hashes,
    pub waiting: Waiting,
}

#[derive(Debug, Clone, Default)]
pub struct Hashes {
    pub services: BTreeMap<String, String>,
    pub networks: BTreeMap<String, String>,
    pub volumes: BTreeMap<String, String>,
}

impl Machine<'_> {
    pub fn service(&self, name: &str) -> Result<&Service, Failure> {
        Ok(self.project.service(name)?)
    }

    /// The image that a service runs, or is built as.
    pub fn image(&self, service: &Service) -> String {
        service.image_or_default(&self.project.name, self.separator)
    }

    /// The name of another service's first container, for what is shared with it.
    pub fn first_container(&self, service: &str) -> String {
        match self.project.services.get(service) {
            Some(service) => container_name(self.project, service, 1, self.separator),
            None => service.to_owned(),
        }
    }

    pub fn hash(&self, service: &str) -> String {
        self.hashes.services.get(service).cloned().unwrap_or_default()
    }

    fn find(store: &Store, name: &str) -> Result<ContainerId, Failure> {
        Ok(container::find(store, name)?)
    }

    fn create_network(&self, key: &str, name: &str) -> Result<(), Failure> {
        let declared = self.project.networks.get(key).cloned().unwrap_or_default();
        let new = new_network(
            &declared,
            name,
            self.own_labels(&declared.labels.0, label::NETWORK, key, &self.hashes.networks),
        )?;
        match net::create(&self.context.root, new) {
            // another command of the same project was faster
            Err(net::Error::NameTaken { .. }) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    fn create_volume(&self, key: &str, name: &str) -> Result<(), Failure> {
        let declared: Volume = self.project.volumes.get(key).cloned().unwrap_or_default();
        if !matches!(declared.driver.as_str(), "" | "local") {
            return Err(Failure::usage(format!(
                "volumes.{key}: there is no volume driver {:?}",
                declared.driver
            ))
            .hint("leave the driver out"));
        }
        let labels = self.own_labels(&declared.labels.0, label::VOLUME, key, &self.hashes.volumes);
        let options = declared.driver_opts.0;
        let new =
            NewVolume { name: name.to_owned(), anonymous: false, labels, options, lasting: true };
        volume::create(&self.context.root, new)?;
        Ok(())
    }

    /// The declared labels, and those by which the project is found.
    fn own_labels(
        &self,
        declared: &BTreeMap<String, String>,
        kind: &str,
        key: &str,
        hashes: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut labels = declared.clone();
        labels.insert(label::PROJECT.into(), self.project.name.clone());
        labels.insert(kind.into(), key.into());
        labels.insert(label::VERSION.into(), env!("CARGO_PKG_VERSION").into());
        if let Some(hash) = hashes.get(key) {
            labels.insert(label::CONFIG_HASH.into(), hash.clone());
        }
        labels
    }
}

fn new_network(
    declared: &Network,
    name: &str,
    labels: BTreeMap<String, String>,
) -> Result<NewNetwork, Failure> {
    let wrong = |what: String| Failure::usage(format!("the network {name}: {what}"));
    let driver = match declared.driver.as_str() {
        "" | "default" => None,
        "bridge" => Some(Driver::Bridge),
        "loopback" => Some(Driver::Loopback),
        other => {
            return Err(wrong(format!("there is no driver {other:?}"))
                .hint("the drivers are bridge and loopback"));
        }
    };
    if !matches!(declared.ipam.driver.as_str(), "" | "default") {
        return Err(wrong(format!("addresses are not given out by {:?}", declared.ipam.driver)));
    }
    if declared.enable_ipv4 == Some(false) {
        return Err(wrong("it has IPv4 in any case".into()).hint("leave enable_ipv4 out"));
    }
    let mut new = NewNetwork {
        name: name.to_owned(),
        driver,
        internal: declared.internal,
        ipv6: declared.enable_ipv6 == Some(true),
        options: declared.driver_opts.0.clone(),
        labels,
        ..NewNetwork::default()
    };
    for pool in &declared.ipam.config {
        let subnet = |text: &str| -> Result<Option<IpNet>, Failure> {
            let parsed =
                |text: &str| text.parse().map_err(|_| wrong(format!("{text:?} is not a subnet")));
            Some(text).filter(|text| !text.is_empty()).map(parsed).transpose()
        };
        new.subnets.extend(subnet(&pool.subnet)?);
        new.ranges.extend(subnet(&pool.ip_range)?);
        if !pool.gateway.is_empty() {
            let gateway: Result<IpAddr, _> = pool.gateway.parse();
            new.gateways
                .push(gateway.map_err(|_| wrong(format!("{:?} is not an address", pool.gateway)))?);
        }
    }
    new.ipv6 |= new.subnets.iter().any(|subnet| subnet.addr().is_ipv6());
    Ok(new)
}

impl Ops for Machine<'_> {
    type Error = Failure;

    fn perform(&self, action: &Action) -> Result<(), Failure> {
        let store = self.context.store()?;
        let root = &self.context.root;
        match action {
            Action::CreateNetwork { key, name } => self.create_network(key, name),
            Action::RemoveNetwork { name } => match net::remove(root, name) {
                Err(net::Error::NotFound { .. }) => Ok(()),
                other => Ok(other.map(drop)?),
            },
            Action::Disconnect { container, network } => {
                let id = Self::find(&store, container)?;
                Ok(container::disconnect(root, &id, network)?)
            }
            Action::CreateVolume { key, name } => self.create_volume(key, name),
            Action::RemoveVolume { name } => match volume::remove(root, name, None) {
                Err(volume::Error::NotFound { .. }) => Ok(()),
                other => Ok(other?),
            },
            Action::RemoveImage { image } => match store.remove(image, false, &usages(root)) {
                Err(store::Error::NotFound { .. }) => Ok(()),
                other => Ok(other.map(drop)?),
            },
            Action::Create { service, number, name, replaces, keeps_volumes } => {
                let service = self.service(service)?;
                let replaces = replaces.as_deref();
                self.create(New {
                    service,
                    name,
                    number: *number,
                    replaces,
                    keeps_volumes: *keeps_volumes,
                    one_off: false,
                    named: true,
                    more: &[],
                })?;
                Ok(())
            }
            Action::Rename { from, to } => {
                Ok(container::rename(&store, &Self::find(&store, from)?, to)?)
            }
            Action::Start { service, container } => self.start(&store, service, container),
            Action::Stop { container, timeout } => {
                let id = Self::find(&store, container)?;
                self.before_stop(&store, &id)?;
                Ok(container::stop(&store, &id, &Stop { signal: None, timeout: *timeout })?)
            }
            Action::Restart { service, container, timeout } => {
                let id = Self::find(&store, container)?;
                self.before_stop(&store, &id)?;
                container::restart(&store, &id, &Stop { signal: None, timeout: *timeout })?;
                self.after_start(&store, service, &id)
            }
            Action::Kill { container, signal } => {
                let signal = signal.as_deref().unwrap_or("KILL");
                Ok(container::kill(&store, &Self::find(&store, container)?, signal)?)
            }
            Action::Pause { container } => {
                Ok(container::pause(&store, &Self::find(&store, container)?)?)
            }
            Action::Unpause { container } => {
                Ok(container::unpause(&store, &Self::find(&store, container)?)?)
            }
            Action::Remove { container, volumes } => {
                let Ok(id) = Self::find(&store, container) else { return Ok(()) };
                let remove = Remove { force: true, volumes: *volumes };
                Ok(container::remove(&store, &id, remove)?)
            }
            Action::Wait { service, containers, until, required } => {
                self.wait(&store, service, containers, *until, *required)
            }
        }
    }
}

impl Machine<'_> {
    fn start(&self, store: &Store, service: &str, name: &str) -> Result<(), Failure> {
        let id = Self::find(store, name)?;
        container::start(store, &id)?;
        self.after_start(store, service, &id)
    }

    fn after_start(&self, store: &Store, service: &str, id: &ContainerId) -> Result<(), Failure> {
        match self.project.services.get(service) {
            Some(service) => self.hooks(store, id, "post_start", &service.post_start),
            None => Ok(()),
        }
    }

    fn before_stop(&self, store: &Store, id: &ContainerId) -> Result<(), Failure> {
        let spec = state::load_spec(store.root(), id).map_err(container::Error::from)?;
        let service =
            spec.labels.get(label::SERVICE).and_then(|name| self.project.services.get(name));
        match service.map(|service| &service.pre_stop) {
            Some(hooks)
                if !hooks.is_empty()
                    && state::load(store.root(), id).is_ok_and(|c| c.state.is_alive()) =>
            {
                self.hooks(store, id, "pre_stop", hooks)
            }
            _ => Ok(()),
        }
    }
}
