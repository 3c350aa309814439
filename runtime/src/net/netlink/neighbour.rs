//! Who has which address on a link, as far as this host has learnt it.

use super::Request;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use std::net::IpAddr;

const DELETE: u16 = 29;

/// Forgets who had an address.
pub fn forget(link: u32, address: IpAddr) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = link;
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(destination));
    Request::new(DELETE, 0, &message)
}
