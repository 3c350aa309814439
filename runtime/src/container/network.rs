//! From what a container asks of the network to what there is.

use super::options::{InvalidNetwork, NetworkOptions, NetworkWish};
use super::{Result, find, options};
use crate::engine::names::hostname;
use crate::{net, state};
use knarr_core::spec::network::{Attachment, Driver, is_host_name};
use knarr_core::spec::{ContainerSpec, EngineKind, Link, NetworkMode};
use knarr_core::store::Store;

/// Looks up what is named. Networks are called by their full names afterwards.
pub fn network_mode(
    store: &Store,
    engine: EngineKind,
    asked: &NetworkOptions,
) -> Result<NetworkMode> {
    let root = store.root();
    match asked.parse().map_err(options::Error::from)? {
        NetworkWish::Host => Ok(NetworkMode::Host),
        NetworkWish::None => Ok(NetworkMode::None),
        NetworkWish::Container(name) => {
            let id = find(store, &name)?;
            match state::load_spec(root, &id)?.network {
                // another container's other container
                NetworkMode::Container(other) => Ok(NetworkMode::Container(other)),
                _ => Ok(NetworkMode::Container(id)),
            }
        }
        NetworkWish::Networks(wishes) => {
            let named = |wish: Attachment| {
                let network = net::find(root, &wish.network)?.name;
                Ok(Attachment { network, ..wish })
            };
            Ok(NetworkMode::Networks(wishes.into_iter().map(named).collect::<Result<_>>()?))
        }
        NetworkWish::Default(wish) => default(store, engine, asked.backend, wish),
    }
}

/// The containers that are linked, which are on one of the container's networks.
pub fn links(
    store: &Store,
    asked: &NetworkOptions,
    network: Option<&NetworkMode>,
) -> Result<Vec<Link>> {
    let link = |text: &String| {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        let alias = alias.strip_prefix('/').unwrap_or(alias).to_owned();
        let invalid =
            |error: fn(String) -> InvalidNetwork| options::Error::from(error(text.clone()));
        if !is_host_name(&alias) {
            return Err(invalid(|text| InvalidNetwork::Link { text }).into());
        }
        let container = find(store, name)?;
        let its = net::memberships(store.root(), &container)?;
        let shared = match network {
            Some(NetworkMode::Networks(own)) => {
                own.iter().any(|own| its.iter().any(|(other, _)| other.name == own.network))
            }
            _ => false,
        };
        match shared {
            true => Ok(Link { container, alias }),
            false => Err(invalid(|text| InvalidNetwork::LinkApart { text }).into()),
        }
    };
    asked.links.iter().map(link).collect()
}

/// Whoever shares a container's network is called as that one, so that its own name resolves.
pub fn share_names(store: &Store, spec: &mut ContainerSpec) -> Result<()> {
    if let NetworkMode::Container(other) = &spec.network {
        let other = state::load_spec(store.root(), other)?;
        spec.hostname = Some(hostname(&other));
        spec.domainname = other.domainname;
    }
    Ok(())
}

fn default(
    store: &Store,
    engine: EngineKind,
    backend: Option<Driver>,
    wish: Attachment,
) -> Result<NetworkMode> {
    let network = net::default_network(store.root(), engine, backend)?.name;
    Ok(NetworkMode::Networks(vec![Attachment { network, ..wish }]))
}
