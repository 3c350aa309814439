//! What the guest gets of its container's networks; made before the process is confined.

use super::error::Error;
use super::host::denial::Denials;
use super::host::monitor::Monitor;
use super::host::sockets::{Carried, Current, Limits, Place, Published, Shared, Where};
use crate::engine::Launch;
use crate::engine::names::host_gateway;
use crate::net::names::Allowed;
use crate::net::{Attached, Surroundings};
use crate::state::Placement;
use knarr_core::spec::NetworkMode;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The guest's place, and whom it asks about others.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub place: Arc<Place>,
    /// What `host-gateway` stands for.
    pub host: IpAddr,
    pub monitor: Option<Arc<Monitor>>,
    pub only: Option<(Arc<Allowed>, Arc<Denials>)>,
}

/// The guest's ends of what leads to its monitor.
#[derive(Debug, Default)]
pub(super) struct Channels {
    pub questions: Option<OwnedFd>,
    pub news: Option<OwnedFd>,
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
        channels: Channels,
        publishes: bool,
    ) -> Result<Self, Error> {
        let (spec, attached) = (launch.spec, launch.network);
        let monitor = channels.questions.map(|socket| Arc::new(Monitor::new(socket)));
        let now = Surroundings::of(launch.root, spec, &attached.endpoints)
            .map_err(|e| Error::system("read the networks", super::Cause::of(&e)))?;
        let denials = Arc::new(Denials::default());
        let only = spec.outbound.as_ref().map(|list| Arc::new(Allowed::new(list)));
        let limits = Limits { only: only.clone(), denials: denials.clone(), ..Limits::default() };
        let published = |wanted: bool| match wanted && publishes {
            true => Published::reserve(spec),
            false => Ok(Published::default()),
        };
        let at = match (attached.placement, &monitor) {
            (Placement::Carried, Some(monitor)) => {
                Where::Carried(Carried::new(&now, published(true)?, monitor.clone()))
            }
            (Placement::Shared { loopback }, _) => Where::Shared(Shared::new(loopback)),
            _ => Where::Alone(published(spec.network == NetworkMode::Host)?),
        };
        let current = Current::new(now, channels.news);
        let place = Arc::new(Place { at, current, limits });
        let only = only.map(|only| (only, denials));
        let host = host_gateway(attached.endpoints.iter().map(|(network, _)| network));
        Ok(Self { place, host, monitor, only })
    }
}
