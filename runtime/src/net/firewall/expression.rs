//! What rules are made of. Each function is one expression, or the few that `nft` writes as one.
//!
//! A register is 16 bytes (1 to 4), or 4 bytes (8 to 23) of the same memory.

use super::message::Attributes;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first register, as 16 bytes and as the first of 4 bytes.
const REGISTER: u32 = 1;
/// The small registers, in which keys are put together.
const PART: u32 = 8;

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::new().text(1, name).nest(2, data)
}

#[derive(Debug, Clone, Copy)]
pub enum Family {
    V4,
    V6,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    InterfaceIn,
    InterfaceOut,
    Protocol,
    Source(Family),
    Destination(Family),
    /// Of TCP, UDP and SCTP alike.
    DestinationPort,
}

impl Field {
    /// Loads it; how many small registers it takes.
    fn load(self, register: u32) -> (Attributes, u32) {
        let meta = |key| expression("meta", Attributes::new().number(1, register).number(2, key));
        let payload = |base, offset, length| {
            let data = Attributes::new().number(1, register).number(2, base);
            expression("payload", data.number(3, offset).number(4, length))
        };
        match self {
            Self::InterfaceIn => (meta(6), 4),
            Self::InterfaceOut => (meta(7), 4),
            Self::Protocol => (meta(16), 1),
            Self::Source(Family::V4) => (payload(1, 12, 4), 1),
            Self::Source(Family::V6) => (payload(1, 8, 16), 4),
            Self::Destination(Family::V4) => (payload(1, 16, 4), 1),
            Self::Destination(Family::V6) => (payload(1, 24, 16), 4),
            Self::DestinationPort => (payload(2, 2, 2), 1),
        }
    }
}

/// Fields put together as one key.
fn key(fields: &[Field]) -> Vec<Attributes> {
    let mut register = PART;
    fields
        .iter()
        .map(|field| {
            let (load, width) = field.load(register);
            register += width;
            load
        })
        .collect()
}

fn lookup(set: &str, inverted: bool, is_map: bool) -> Attributes {
    let mut data = Attributes::new().text(1, set).number(2, PART);
    if is_map {
        data = data.number(3, PART);
    }
    if inverted {
        data = data.number(5, 1);
    }
    expression("lookup", data)
}

/// Fields that, put together, are in a set.
pub fn is_in(fields: &[Field], set: &str) -> Vec<Attributes> {
    let mut rule = key(fields);
    rule.push(lookup(set, false, false));
    rule
}

pub fn is_not_in(fields: &[Field], set: &str) -> Vec<Attributes> {
    let mut rule = key(fields);
    rule.push(lookup(set, true, false));
    rule
}

fn compare(unequal: bool, value: &[u8]) -> Attributes {
    let data = Attributes::new().number(1, REGISTER).number(2, u32::from(unequal));
    expression("cmp", data.nest(3, Attributes::new().bytes(1, value)))
}

/// IPv4 or IPv6: before an address is looked at.
pub fn is_family(family: Family) -> Vec<Attributes> {
    let number = match family {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    let meta = Attributes::new().number(1, REGISTER).number(2, 15);
    vec![expression("meta", meta), compare(false, &[number])]
}

/// Whether a packet leaves by the loopback interface.
pub fn by_loopback(does: bool) -> Vec<Attributes> {
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    vec![Field::InterfaceOut.load(REGISTER).0, compare(!does, &name)]
}

/// Keeps the bits of a register that are set in a mask.
fn mask(mask: &[u8]) -> Attributes {
    let value = |bytes: &[u8]| Attributes::new().bytes(1, bytes);
    let length = u32::try_from(mask.len()).unwrap_or_default();
    let data = Attributes::new().number(1, REGISTER).number(2, REGISTER).number(3, length);
    expression("bitwise", data.nest(4, value(mask)).nest(5, value(&vec![0; mask.len()])))
}

/// An address of a subnet of its family.
pub fn is_within(field: Field, subnet: IpNet) -> Vec<Attributes> {
    let octets = |address| match address {
        IpAddr::V4(address) => Ipv4Addr::octets(&address).to_vec(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address).to_vec(),
    };
    let (bits, network) = (octets(subnet.netmask()), octets(subnet.network()));
    vec![field.load(REGISTER).0, mask(&bits), compare(false, &network)]
}

pub fn is_for_port(port: u16) -> Vec<Attributes> {
    vec![Field::DestinationPort.load(REGISTER).0, compare(false, &port.to_be_bytes())]
}

const ICMPV6: u8 = 58;

/// ICMPv6 to everybody on the link: neighbour discovery, and reports of who listens to what (RFC 3810).
pub fn is_for_link() -> Vec<Attributes> {
    let everybody = IpNet::new_assert(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0).into(), 16);
    let is_icmp = vec![Field::Protocol.load(REGISTER).0, compare(false, &[ICMPV6])];
    let to_link = is_within(Field::Destination(Family::V6), everybody);
    [is_family(Family::V6), is_icmp, to_link].concat()
}

/// Neighbour discovery (RFC 4861): ICMPv6, types 133 to 137. What a host needs to speak IPv6 at all.
pub fn is_of_neighbours() -> Vec<Attributes> {
    const AT_LEAST: u32 = 5;
    const AT_MOST: u32 = 3;
    let load = Attributes::new().number(1, REGISTER).number(2, 2).number(3, 0).number(4, 1);
    let bound = |operator, value: u8| {
        let data = Attributes::new().number(1, REGISTER).number(2, operator);
        expression("cmp", data.nest(3, Attributes::new().bytes(1, &[value])))
    };
    vec![
        Field::Protocol.load(REGISTER).0,
        compare(false, &[ICMPV6]),
        expression("payload", load),
        bound(AT_LEAST, 133),
        bound(AT_MOST, 137),
    ]
}

/// Sends the beginning of a packet to whoever listens to a group in this namespace.
pub fn log(group: u16) -> Vec<Attributes> {
    // each packet at once
    let one = 1u16.to_be_bytes();
    let data = Attributes::new().bytes(1, &group.to_be_bytes()).number(3, 128).bytes(4, &one);
    vec![expression("log", data)]
}

/// What connection tracking knows of a packet.
#[derive(Debug, Clone, Copy)]
pub enum Tracked {
    /// It belongs to a connection, or is an error about one.
    Known,
    /// It begins one, or belongs nowhere.
    Unknown,
    /// Its destination was changed.
    Redirected,
}

pub fn is_tracked(tracked: Tracked) -> Vec<Attributes> {
    const STATE: u32 = 0;
    const STATUS: u32 = 2;
    let (what, bits): (u32, u32) = match tracked {
        Tracked::Known => (STATE, 2 | 4),
        Tracked::Unknown => (STATE, 1 | 8),
        Tracked::Redirected => (STATUS, 0x20),
    };
    let load = Attributes::new().number(1, REGISTER).number(2, what);
    vec![expression("ct", load), mask(&bits.to_ne_bytes()), compare(true, &[0; 4])]
}

/// The destination is an address of this host.
pub fn is_for_host() -> Vec<Attributes> {
    const TYPE: u32 = 3;
    const DESTINATION: u32 = 2;
    const LOCAL: u32 = 2;
    let data = Attributes::new().number(1, REGISTER).number(2, TYPE).number(3, DESTINATION);
    vec![expression("fib", data), compare(false, &LOCAL.to_ne_bytes())]
}

/// There is a socket for it here that has an address of somebody else's (`IP_TRANSPARENT`, ip(7)).
pub fn is_for_foreign_socket() -> Vec<Attributes> {
    const TRANSPARENT: u32 = 0;
    let data = Attributes::new().number(1, TRANSPARENT).number(2, REGISTER);
    vec![expression("socket", data), compare(false, &[1])]
}

/// Writes a number on a packet.
pub fn mark(number: u32) -> Vec<Attributes> {
    const MARK: u32 = 3;
    let value = Attributes::new().bytes(1, &number.to_ne_bytes());
    let load = Attributes::new().number(1, REGISTER).nest(2, value);
    let set = Attributes::new().number(2, MARK).number(3, REGISTER);
    vec![expression("immediate", load), expression("meta", set)]
}

/// Sends a packet where a map says for its fields; those that it does not know go on.
pub fn redirect(fields: &[Field], map: &str, family: Family) -> Vec<Attributes> {
    let mut rule = key(fields);
    rule.push(lookup(map, false, true));
    let (family, port) = match family {
        Family::V4 => (2, PART + 1),
        Family::V6 => (10, PART + 4),
    };
    const DESTINATION: u32 = 1;
    let data = Attributes::new().number(1, DESTINATION).number(2, family).number(3, PART);
    rule.push(expression("nat", data.number(5, port)));
    rule
}

/// Gives a packet the address of the interface that it leaves by.
pub fn masquerade() -> Vec<Attributes> {
    vec![expression("masq", Attributes::new())]
}

fn verdict(code: u32) -> Vec<Attributes> {
    let verdict = Attributes::new().number(1, code);
    let data = Attributes::new().number(1, 0).nest(2, Attributes::new().nest(2, verdict));
    vec![expression("immediate", data)]
}

pub fn accept() -> Vec<Attributes> {
    verdict(1)
}

/// Drops a packet, and tells who sent it that this is forbidden.
pub fn reject() -> Vec<Attributes> {
    const ICMPX_UNREACH: u32 = 2;
    const ADMIN_PROHIBITED: u8 = 3;
    let data = Attributes::new().number(1, ICMPX_UNREACH).bytes(2, &[ADMIN_PROHIBITED]);
    vec![expression("reject", data)]
}

pub fn drop() -> Vec<Attributes> {
    verdict(0)
}
