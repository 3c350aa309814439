//! Where a built-in probe connects to, whoever wrote the check: for a Wasm container only to its own addresses, for a native one from
//! within its network namespace, where a program of its own could connect to as well.

use super::Probes;
use crate::monitor::networks::Networks;
use crate::net::{loopback, loopback6};
use crate::state::Placement;
use knarr_core::spec::health::Target;
use knarr_core::spec::network::Driver;
use knarr_core::spec::{EngineKind, NetworkMode, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Addresses that are tried in turn, in a network namespace.
#[derive(Debug)]
pub(super) struct Addressed {
    /// `None`: the monitor's own.
    pub namespace: Option<OwnedFd>,
    pub addresses: Vec<SocketAddr>,
}

impl Probes<'_> {
    /// Where a target is right now, or why it is nowhere.
    pub(super) fn address(
        &self,
        target: Target,
        networks: Option<&Networks>,
    ) -> Result<Addressed, String> {
        let addresses = match self.place.spec.engine {
            EngineKind::Native => match target.address {
                Some(ip) => vec![SocketAddr::new(ip, target.port)],
                None => localhost(target.port),
            },
            EngineKind::Wasm => self.of_wasm(target, networks)?,
        };
        Ok(Addressed { namespace: self.place.network().map_err(|e| e.to_string())?, addresses })
    }

    /// A Wasm guest may share its namespace with others: what its own addresses are, its sockets' wrapper decides, and so
    /// is it here.
    fn of_wasm(
        &self,
        target: Target,
        networks: Option<&Networks>,
    ) -> Result<Vec<SocketAddr>, String> {
        if self.place.spec.network == NetworkMode::None {
            return Err("the container has no network".into());
        }
        let port = target.port;
        let places = networks.map_or(&[][..], |networks| &networks.places);
        let own = || places.iter().flat_map(|(_, endpoint)| endpoint.addresses());
        let wanted = match target.address {
            Some(ip) if ip.is_loopback() || ip.is_unspecified() => None,
            Some(ip) if own().any(|own| own == ip) => Some(ip),
            Some(ip) => return Err(format!("{ip} is not an address of the container")),
            None => None,
        };
        let own = own().filter(|ip| wanted.is_none_or(|wanted| wanted == *ip));
        match self.place.placement {
            Placement::Carried => {
                let carried = places.iter().find(|(n, _)| n.driver == Driver::Loopback);
                let (network, endpoint) =
                    carried.ok_or("the container is on no network any more")?;
                let port = (Protocol::Tcp, port);
                let at =
                    loopback::reached_at(self.place.root, &network.name, &endpoint.container, port);
                let port = port.1;
                Ok(vec![at.ok_or_else(|| format!("nothing listens on port {port}"))?])
            }
            Placement::Shared { loopback } => {
                let loopback = loopback.filter(|_| wanted.is_none());
                let loopback =
                    loopback.into_iter().flat_map(|ip| [IpAddr::V4(ip), IpAddr::V6(loopback6(ip))]);
                Ok(loopback.chain(own).map(|ip| SocketAddr::new(ip, port)).collect())
            }
            Placement::Alone => {
                let published = |p: &&knarr_core::spec::Port| {
                    (p.container_port, p.protocol) == (port, Protocol::Tcp)
                };
                let port = match self.ports.iter().find(published) {
                    // on the host's network the guest listens where it is published
                    Some(published) => published.host_port.unwrap_or(port),
                    None => port,
                };
                let wanted = wanted.map(|ip| vec![SocketAddr::new(ip, port)]);
                Ok(wanted.unwrap_or_else(|| {
                    let own = own.map(|ip| SocketAddr::new(ip, port));
                    localhost(port).into_iter().chain(own).collect()
                }))
            }
        }
    }
}

fn localhost(port: u16) -> Vec<SocketAddr> {
    let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    both.map(|ip| SocketAddr::new(ip, port)).into()
}
