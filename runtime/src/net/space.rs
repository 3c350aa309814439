//! Where a network's addresses lie.

use super::address::{self, Block, overlap};
use super::error::{Error, Result};
use super::netlink::{Socket, route};
use super::shared;
use super::step::{Step, failed};
use super::store::{NewNetwork, list};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec, Subnet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub fn ipv4(new: &NewNetwork, taken: &Taken) -> Result<Subnet<Ipv4Net, Ipv4Addr>> {
    let wished: Vec<Ipv4Net> = new
        .subnets
        .iter()
        .filter_map(|s| if let IpNet::V4(s) = s { Some(s.trunc()) } else { None })
        .collect();
    if let Some(second) = wished.get(1) {
        return Err(Error::TooManySubnets { subnet: (*second).into() });
    }
    let subnet = match wished.first() {
        Some(subnet) => *subnet,
        None => address::pool()
            .find(|subnet| taken.is_free((*subnet).into()))
            .ok_or_else(|| Error::NoFreeSubnet { name: new.name.clone() })?,
    };
    let (gateway, range) = parts(new, subnet.into(), taken)?;
    let gateway = match gateway {
        IpAddr::V4(gateway) => gateway,
        IpAddr::V6(_) => subnet.network(),
    };
    let range = range.and_then(|r| if let IpNet::V4(r) = r { Some(r) } else { None });
    Ok(Subnet { subnet, gateway, range })
}

pub fn ipv6(new: &NewNetwork, taken: &Taken) -> Result<Option<Subnet<Ipv6Net, Ipv6Addr>>> {
    let wished: Vec<Ipv6Net> = new
        .subnets
        .iter()
        .filter_map(|s| if let IpNet::V6(s) = s { Some(s.trunc()) } else { None })
        .collect();
    if let Some(second) = wished.get(1) {
        return Err(Error::TooManySubnets { subnet: (*second).into() });
    }
    let subnet = match wished.first() {
        Some(subnet) => *subnet,
        None if !new.ipv6 => return Ok(None),
        None => unique_local(),
    };
    let (gateway, range) = parts(new, subnet.into(), taken)?;
    let gateway = match gateway {
        IpAddr::V6(gateway) => gateway,
        IpAddr::V4(_) => subnet.network(),
    };
    let range = range.and_then(|r| if let IpNet::V6(r) = r { Some(r) } else { None });
    Ok(Some(Subnet { subnet, gateway, range }))
}

/// A random /64 of the unique local addresses (RFC 4193, section 3.2.2).
fn unique_local() -> Ipv6Net {
    let id = ContainerId::random();
    let digits = u128::from_str_radix(&id.as_str()[..14], 16).unwrap_or_default();
    Ipv6Net::new_assert(((0xfd << 120) | (digits << 64)).into(), 64)
}

/// Checks a subnet; its gateway and the range to take addresses from.
fn parts(new: &NewNetwork, subnet: IpNet, taken: &Taken) -> Result<(IpAddr, Option<IpNet>)> {
    if subnet.prefix_len() + 2 > subnet.max_prefix_len() {
        return Err(Error::SubnetTooSmall { subnet });
    }
    if let Some((other, owner)) = taken.conflict(subnet) {
        return Err(Error::Overlap { subnet, other, owner });
    }
    let of_family = |gateway: &&IpAddr| gateway.is_ipv4() == subnet.addr().is_ipv4();
    let gateway = match new.gateways.iter().find(of_family) {
        Some(gateway) if Block::of(subnet).has(*gateway) => *gateway,
        Some(gateway) => {
            return Err(Error::OutsideSubnet { what: "gateway", address: gateway.to_string() });
        }
        None => Block::of(subnet).after(None).next().ok_or(Error::SubnetTooSmall { subnet })?,
    };
    let range = new.ranges.iter().find(|r| r.addr().is_ipv4() == subnet.addr().is_ipv4());
    match range {
        Some(range) if subnet.contains(range) => Ok((gateway, Some(range.trunc()))),
        Some(range) => Err(Error::OutsideSubnet { what: "the range", address: range.to_string() }),
        None => Ok((gateway, None)),
    }
}

/// The subnets that are in use: our own networks', and those that the host has routes to.
pub struct Taken {
    networks: Vec<(IpNet, String)>,
    routes: Vec<IpNet>,
}

impl Taken {
    pub fn look(root: &Root, driver: Driver) -> Result<Self> {
        let ours = IpNet::V6(shared::LOOPBACKS);
        let mut networks = vec![(ours, "the loopback of Wasm guests".to_owned())];
        for network in list(root)? {
            let owner = format!("network {}", network.name);
            networks.extend(subnets(&network).map(|subnet| (subnet, owner.clone())));
        }
        let mut routes = Vec::new();
        if driver == Driver::Bridge {
            let found = Socket::route().and_then(|mut socket| route::list(&mut socket));
            let found = found.map_err(|e| failed(Step::Bridge, "", e))?;
            // the default routes lead to whatever is not taken
            routes.extend(found.iter().map(|r| r.destination).filter(|d| d.prefix_len() > 0));
        }
        Ok(Self { networks, routes })
    }

    fn is_free(&self, subnet: IpNet) -> bool {
        self.conflict(subnet).is_none() && !self.routes.iter().any(|r| overlap(*r, subnet))
    }

    /// Who would lose something to this subnet. A wider route of the host only loses what was asked for.
    fn conflict(&self, subnet: IpNet) -> Option<(IpNet, String)> {
        if let Some(taken) = self.networks.iter().find(|(used, _)| overlap(*used, subnet)) {
            return Some(taken.clone());
        }
        let route = self.routes.iter().find(|route| subnet.contains(&route.network()))?;
        Some((*route, "a route of this host".to_owned()))
    }
}

/// A network's subnets, IPv4 first.
pub fn subnets(network: &NetworkSpec) -> impl Iterator<Item = IpNet> {
    let ipv4 = network.ipv4.as_ref().map(|s| s.subnet.into());
    ipv4.into_iter().chain(network.ipv6.as_ref().map(|s| s.subnet.into()))
}
