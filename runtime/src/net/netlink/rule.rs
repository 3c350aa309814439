//! Which routing table a packet is looked up in.

use super::{Request, flag};
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};
use std::net::IpAddr;

const NEW: u16 = 32;
const DELETE: u16 = 33;

/// The table of the addresses that are this host's own, which the kernel looks up first of all.
pub const LOCAL: u32 = 255;

fn message(family: AddressFamily, priority: u32, table: u32, action: RuleAction) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header = RuleHeader { family, action, ..RuleHeader::default() };
    // the field of the header has room for small numbers only
    message.header.table = u8::try_from(table).unwrap_or(0);
    message.attributes.push(RuleAttribute::Priority(priority));
    message.attributes.push(RuleAttribute::Table(table));
    message
}

fn family(is_ipv4: bool) -> AddressFamily {
    if is_ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Looks up everything in a table.
pub fn add_table(is_ipv4: bool, priority: u32, table: u32) -> Request {
    let message = message(family(is_ipv4), priority, table, RuleAction::ToTable);
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

pub fn remove_table(is_ipv4: bool, priority: u32, table: u32) -> Request {
    Request::new(DELETE, 0, &message(family(is_ipv4), priority, table, RuleAction::ToTable))
}

/// What has a mark is looked up in a table.
pub fn add_marked(is_ipv4: bool, mark: u32, table: u32) -> Request {
    let mut message = message(family(is_ipv4), table, table, RuleAction::ToTable);
    message.attributes.push(RuleAttribute::FwMark(mark));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

/// What this host itself sends to a subnet is looked up in a table; packets that come in by another link than its loopback
/// are not.
pub fn add_local(destination: IpNet, priority: u32, table: u32) -> Request {
    let is_ipv4 = destination.addr().is_ipv4();
    let mut message = message(family(is_ipv4), priority, table, RuleAction::ToTable);
    message.header.dst_len = destination.prefix_len();
    message.attributes.push(RuleAttribute::Destination(destination.network()));
    message.attributes.push(RuleAttribute::Iifname("lo".into()));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

fn from_address(source: IpAddr, priority: u32, table: u32) -> RuleMessage {
    let mut message = message(family(source.is_ipv4()), priority, table, RuleAction::ToTable);
    message.header.src_len = if source.is_ipv4() { 32 } else { 128 };
    message.attributes.push(RuleAttribute::Source(source));
    message
}

/// What comes from one address is looked up in a table.
pub fn add_from(source: IpAddr, priority: u32, table: u32) -> Request {
    let message = from_address(source, priority, table);
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}

pub fn remove_from(source: IpAddr, priority: u32, table: u32) -> Request {
    Request::new(DELETE, 0, &from_address(source, priority, table))
}

/// Nothing goes from one subnet to another: whoever tries is told that it is forbidden (EACCES).
pub fn prohibit(source: IpNet, destination: IpNet, priority: u32) -> Request {
    let is_ipv4 = source.addr().is_ipv4();
    let mut message = message(family(is_ipv4), priority, 0, RuleAction::Prohibit);
    message.header.src_len = source.prefix_len();
    message.header.dst_len = destination.prefix_len();
    message.attributes.push(RuleAttribute::Source(source.network()));
    message.attributes.push(RuleAttribute::Destination(destination.network()));
    Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &message)
}
