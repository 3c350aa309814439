//! Addresses of links.

use super::{Request, flag};
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};

const NEW: u16 = 20;
const DELETE: u16 = 21;

/// Gives a link an address and with it the route to its subnet.
///
/// An IPv6 address is used at once: nobody else hands out addresses of our networks, so looking for a double would only
/// cost a second.
pub fn add(index: u32, address: IpNet) -> Request {
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message(index, address))
}

pub fn remove(index: u32, address: IpNet) -> Request {
    Request::new(DELETE, 0, &message(index, address))
}

fn message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => {
            message.header.flags = AddressHeaderFlags::Nodad;
            AddressFamily::Inet6
        }
    };
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    if let IpNet::V4(address) = address
        && address.prefix_len() < 31
    {
        message.attributes.push(AddressAttribute::Broadcast(address.broadcast()));
    }
    message
}
