//! The networks of a container that runs: when they change, its name server and its guest are told.

use super::error::Error;
use crate::engine::{native, wasm};
use crate::net::names::Resolver;
use crate::net::{self, Endpoint, Surroundings};
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode};
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Networks<'a> {
    pub root: &'a Root,
    pub spec: &'a ContainerSpec,
    /// Where the container was when this was last known.
    pub places: Vec<(NetworkSpec, Endpoint)>,
    /// Towards a Wasm guest.
    pub guest: Option<Ear>,
}

/// A Wasm guest that hears of changes.
#[derive(Debug)]
pub(super) struct Ear {
    pub channel: OwnedFd,
    pub pid: u32,
    /// Ports for which the guest wants a listener at each address.
    pub everywhere: Vec<u16>,
    pub told: Surroundings,
}

impl Networks<'_> {
    /// Reads again which networks the container is on.
    pub fn refresh(&mut self, names: Option<&mut Resolver>) -> Result<(), Error> {
        let (root, spec) = (self.root, self.spec);
        let places = net::places_of(root, spec)?;
        if let Some(ear) = &mut self.guest {
            ear.tell(Surroundings::of(root, spec, &places)?)?;
        }
        if let Some(names) = names {
            let networks: Vec<_> = places.iter().map(|(network, _)| network.clone()).collect();
            names.follow(root, spec, &networks);
        }
        let before = std::mem::replace(&mut self.places, places);
        // who shares another's network shares its file, and that one's monitor sees to it
        if spec.engine == EngineKind::Native && matches!(spec.network, NetworkMode::Networks(_)) {
            native::etc::follow(root, spec, &before, &self.places)?;
        }
        Ok(())
    }
}

impl Ear {
    fn tell(&mut self, now: Surroundings) -> Result<(), Error> {
        if now == self.told {
            return Ok(());
        }
        let new: Vec<IpAddr> = now.addresses().filter(|ip| !self.told.is_own(*ip)).collect();
        let listeners = self.listen(&new)?;
        net::tell(&self.channel, &now, &listeners).map_err(|source| Error::Tell { source })?;
        self.told = now;
        Ok(())
    }

    fn listen(&self, addresses: &[IpAddr]) -> Result<Vec<(u16, TcpListener)>, Error> {
        if addresses.is_empty() || self.everywhere.is_empty() {
            return Ok(Vec::new());
        }
        let namespace = net::of_process(self.pid)?;
        let listen = || wasm::listen(addresses, &self.everywhere);
        net::within(namespace.as_fd(), listen).map_err(|source| Error::Listen { source })
    }
}
