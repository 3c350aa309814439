//! What the guest gets of its container's networks; made before the process is confined.

use super::error::Error;
use super::host::denial::Denials;
use super::host::monitor::Monitor;
use super::host::sockets::{Carried, Limits, Place, Published, Shared, Where};
use crate::engine::Launch;
use crate::net::names::Allowed;
use crate::net::{self, Attached, Endpoint};
use ipnet::IpNet;
use knarr_core::spec::NetworkMode;
use knarr_core::spec::network::{Driver, NetworkSpec};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The guest's place, and whom it asks about others.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub place: Arc<Place>,
    pub monitor: Option<Arc<Monitor>>,
    /// The container's addresses; empty on the host's network.
    pub own: Vec<IpAddr>,
    pub only: Option<(Arc<Allowed>, Arc<Denials>)>,
}

/// Goes where the container's addresses are.
pub(super) fn enter(attached: &Attached) -> Result<(), Error> {
    let Some(namespace) = &attached.namespace else { return Ok(()) };
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| Error::system("enter the container's network", e))
}

impl Network {
    /// `publishes`: whether the guest binds its published ports itself.
    pub fn prepare(
        launch: &Launch<'_>,
        channel: Option<OwnedFd>,
        publishes: bool,
    ) -> Result<Self, Error> {
        let (spec, attached) = (launch.spec, launch.network);
        let monitor = channel.map(|socket| Arc::new(Monitor::new(socket)));
        let networks: Vec<NetworkSpec> =
            attached.endpoints.iter().map(|(network, _)| network.clone()).collect();
        let own: Vec<IpAddr> =
            attached.endpoints.iter().flat_map(|(_, endpoint)| endpoint.addresses()).collect();
        let denials = Arc::new(Denials::default());
        let only = spec.outbound.as_ref().map(|list| Arc::new(Allowed::new(list)));
        let limits = Limits {
            only: only.clone(),
            own: networks.iter().flat_map(net::subnets).collect(),
            foreign: foreign(launch, &networks)?,
            internal: !networks.is_empty() && networks.iter().all(|network| network.internal),
            denials: denials.clone(),
            ..Limits::default()
        };
        let carried = networks.iter().any(|network| network.driver == Driver::Loopback);
        let published = |wanted: bool| match wanted && publishes {
            true => Published::reserve(spec),
            false => Ok(Published::default()),
        };
        let at = match &monitor {
            Some(monitor) if carried => Where::Carried(Carried::new(
                own.clone(),
                limits.own.clone(),
                published(true)?,
                monitor.clone(),
            )),
            // an interface with an address of its own is in a namespace of its own
            _ if attached.endpoints.iter().any(|(_, endpoint)| endpoint.mac.is_none()) => {
                Where::Shared(Shared::new(places(attached)))
            }
            _ => Where::Alone(published(spec.network == NetworkMode::Host)?),
        };
        let place = Arc::new(Place { at, limits });
        let only = only.map(|only| (only, denials));
        Ok(Self { place, monitor, own, only })
    }
}

/// The container's addresses with their subnets; those with a way out first.
fn places(attached: &Attached) -> Vec<(IpAddr, IpNet)> {
    let mut endpoints: Vec<_> = attached.endpoints.iter().collect();
    endpoints.sort_by_key(|(network, _)| network.internal);
    let of = |(network, endpoint): &(NetworkSpec, Endpoint)| {
        let subnets: Vec<IpNet> = net::subnets(network).collect();
        let within = |ip: IpAddr| subnets.iter().find(|s| s.contains(&ip)).map(|s| (ip, *s));
        endpoint.addresses().filter_map(within).collect::<Vec<_>>()
    };
    endpoints.into_iter().flat_map(of).collect()
}

/// The subnets of this root's other networks.
fn foreign(launch: &Launch<'_>, own: &[NetworkSpec]) -> Result<Vec<IpNet>, Error> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let all = net::list(launch.root)
        .map_err(|e| Error::system("read the networks", super::Cause::of(&e)))?;
    let others = all.iter().filter(|other| own.iter().all(|own| own.id != other.id));
    Ok(others.flat_map(net::subnets).collect())
}
