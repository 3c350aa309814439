//! What rules are made of. Each function is one expression, or the few that `nft` writes as one.
//!
//! A register is 16 bytes (1 to 4), or 4 bytes (8 to 23) of the same memory.

use super::message::Attributes;

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

/// Not by the loopback interface.
pub fn leaves_host() -> Vec<Attributes> {
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    vec![Field::InterfaceOut.load(REGISTER).0, compare(true, &name)]
}

/// An IPv4 address of 127.0.0.0/8.
pub fn is_loopback(field: Field) -> Vec<Attributes> {
    let value = |bytes: &[u8]| Attributes::new().bytes(1, bytes);
    let mask = Attributes::new()
        .number(1, REGISTER)
        .number(2, REGISTER)
        .number(3, 4)
        .nest(4, value(&[255, 0, 0, 0]))
        .nest(5, value(&[0; 4]));
    vec![field.load(REGISTER).0, expression("bitwise", mask), compare(false, &[127, 0, 0, 0])]
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
    let (what, mask): (u32, u32) = match tracked {
        Tracked::Known => (STATE, 2 | 4),
        Tracked::Unknown => (STATE, 1 | 8),
        Tracked::Redirected => (STATUS, 0x20),
    };
    let value = |bytes: &[u8]| Attributes::new().bytes(1, bytes);
    let bits = Attributes::new()
        .number(1, REGISTER)
        .number(2, REGISTER)
        .number(3, 4)
        .nest(4, value(&mask.to_ne_bytes()))
        .nest(5, value(&[0; 4]));
    let load = Attributes::new().number(1, REGISTER).number(2, what);
    vec![expression("ct", load), expression("bitwise", bits), compare(true, &[0; 4])]
}

/// The destination is an address of this host.
pub fn is_for_host() -> Vec<Attributes> {
    const TYPE: u32 = 3;
    const DESTINATION: u32 = 2;
    const LOCAL: u32 = 2;
    let data = Attributes::new().number(1, REGISTER).number(2, TYPE).number(3, DESTINATION);
    vec![expression("fib", data), compare(false, &LOCAL.to_ne_bytes())]
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
