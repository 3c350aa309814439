//! Routes.

use super::{Request, Socket, flag};
use ipnet::IpNet;
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NEW: u16 = 24;
const GET: u16 = 26;

/// The table that is looked up for everything.
pub const MAIN: u32 = 254;

/// The default route of a family, by a gateway on one of our links.
pub fn add_default(index: u32, gateway: IpAddr, table: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: match gateway {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        },
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Table(table));
    message.attributes.push(RouteAttribute::Oif(index));
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

/// A subnet is reached by one of our links, without a gateway.
pub fn add_link(index: u32, destination: IpNet, table: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: match destination {
            IpNet::V4(_) => AddressFamily::Inet,
            IpNet::V6(_) => AddressFamily::Inet6,
        },
        destination_prefix_length: destination.prefix_len(),
        protocol: RouteProtocol::Static,
        scope: RouteScope::Link,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Table(table));
    message.attributes.push(RouteAttribute::Oif(index));
    message.attributes.push(RouteAttribute::Destination(destination.network().into()));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

/// A whole subnet is this host's own.
pub fn add_own(loopback: u32, destination: IpNet, table: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: match destination {
            IpNet::V4(_) => AddressFamily::Inet,
            IpNet::V6(_) => AddressFamily::Inet6,
        },
        destination_prefix_length: destination.prefix_len(),
        protocol: RouteProtocol::Static,
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Table(table));
    message.attributes.push(RouteAttribute::Oif(loopback));
    message.attributes.push(RouteAttribute::Destination(destination.network().into()));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

/// Whether packets to an address are for this host itself.
pub fn is_own(socket: &mut Socket, address: IpAddr) -> io::Result<bool> {
    let mut message = RouteMessage::default();
    message.header.address_family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = IpNet::from(address).prefix_len();
    message.attributes.push(RouteAttribute::Destination(address.into()));
    let Some(reply) = socket.ask(Request::new(GET, 0, &message))? else { return Ok(false) };
    let route = RouteMessage::parse(&reply).map_err(io::Error::other)?;
    Ok(route.header.kind == RouteType::Local)
}

/// Where packets to a subnet go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub destination: IpNet,
    pub link: Option<u32>,
}

/// The routes of the main table.
pub fn list(socket: &mut Socket) -> io::Result<Vec<Route>> {
    let mut routes = Vec::new();
    for reply in socket.dump(Request::new(GET, 0, &RouteMessage::default()))? {
        let message = RouteMessage::parse(&reply).map_err(io::Error::other)?;
        if message.header.table == RouteHeader::RT_TABLE_MAIN {
            routes.extend(route(&message));
        }
    }
    Ok(routes)
}

#[cfg(fuzzing)]
pub fn exercise(payload: &[u8]) {
    let _ = RouteMessage::parse(payload).map(|message| route(&message));
}

fn route(message: &RouteMessage) -> Option<Route> {
    let mut destination: Option<IpAddr> = None;
    let mut link = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(a)) => destination = Some((*a).into()),
            RouteAttribute::Destination(RouteAddress::Inet6(a)) => destination = Some((*a).into()),
            RouteAttribute::Oif(index) => link = Some(*index),
            _ => {}
        }
    }
    let destination = destination.or(match message.header.address_family {
        AddressFamily::Inet => Some(Ipv4Addr::UNSPECIFIED.into()),
        AddressFamily::Inet6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    })?;
    let destination = IpNet::new(destination, message.header.destination_prefix_length).ok()?;
    Some(Route { destination, link })
}
