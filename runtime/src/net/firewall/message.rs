//! Messages of nf_tables (linux/netfilter/nf_tables.h), as many as our rules need.
//!
//! Written here because what there is either runs the program `nft`, which costs more than a container's start, or knows
//! neither `nat` nor `masq`, `ct`, `fib` and `reject`.

use crate::net::netlink::{Request, flag};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM;
const GET_TABLE: u16 = SUBSYSTEM | 1;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM | 12;
const DELETE_ELEMENT: u16 = SUBSYSTEM | 14;

/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
const INET: u8 = 1;

/// Attributes of a message: netlink's type, length and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// In network byte order, as nf_tables wants numbers.
    pub fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub fn nest(self, kind: u16, inner: Self) -> Self {
        const NESTED: u16 = 0x8000;
        self.bytes(kind | NESTED, &inner.0)
    }
}

pub(super) fn request(kind: u16, flags: u16, family: u8, attributes: Attributes) -> Request {
    let mut payload = vec![family, 0, 0, 0];
    payload.extend(attributes.0);
    Request { kind, flags, payload }
}

/// A hook of the kernel's that a chain begins at.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    pub kind: &'static str,
    pub number: u32,
    pub priority: i32,
}

/// A set, or a map if it has `data`.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    pub name: &'static str,
    /// The type as `nft` numbers them, and the length in bytes: 4 for each part of what is put together.
    pub key: (u32, u32),
    pub data: Option<(u32, u32)>,
    pub interval: bool,
    /// The key is a number in the host's byte order, or text.
    pub host_order: bool,
}

/// A key of a set, with the value of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub key: Vec<u8>,
    pub data: Option<Vec<u8>>,
    /// The key is the first one behind an interval.
    pub is_end: bool,
}

/// A transaction on one table: all of it is done, or nothing.
pub struct Batch<'a> {
    table: &'a str,
    requests: Vec<Request>,
}

impl<'a> Batch<'a> {
    pub fn new(table: &'a str) -> Self {
        Self { table, requests: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn add(&mut self, kind: u16, flags: u16, attributes: Attributes) {
        self.requests.push(request(kind, flags, INET, attributes));
    }

    /// `exclusive`: there must be none.
    pub fn table(&mut self, exclusive: bool) {
        let flags = flag::CREATE | if exclusive { flag::EXCLUSIVE } else { 0 };
        self.add(NEW_TABLE, flags, Attributes::new().text(1, self.table));
    }

    pub fn delete_table(&mut self) {
        self.add(DELETE_TABLE, 0, Attributes::new().text(1, self.table));
    }

    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        let mut attributes = Attributes::new().text(1, self.table).text(3, name);
        if let Some(hook) = hook {
            let place =
                Attributes::new().number(1, hook.number).bytes(2, &hook.priority.to_be_bytes());
            attributes = attributes.nest(4, place).text(7, hook.kind);
        }
        self.add(NEW_CHAIN, flag::CREATE, attributes);
    }

    pub fn rule(&mut self, chain: &str, expressions: Vec<Attributes>) {
        let list = expressions.into_iter().fold(Attributes::new(), |list, e| list.nest(1, e));
        let attributes = Attributes::new().text(1, self.table).text(2, chain).nest(4, list);
        self.add(NEW_RULE, flag::CREATE | flag::APPEND, attributes);
    }

    pub fn set(&mut self, set: &Set) {
        const INTERVAL: u32 = 4;
        const MAP: u32 = 8;
        let flags = if set.interval { INTERVAL } else { 0 } | set.data.map_or(0, |_| MAP);
        let mut attributes = Attributes::new()
            .text(1, self.table)
            .text(2, set.name)
            .number(3, flags)
            .number(4, set.key.0)
            .number(5, set.key.1)
            // an identity within the transaction, which the kernel insists on
            .number(10, 1 + u32::try_from(self.requests.len()).unwrap_or_default());
        if set.host_order {
            // for `nft`, which shows such keys wrongly without it
            attributes = attributes.bytes(13, &[0, 4, 1, 0, 0, 0]);
        }
        if let Some((kind, length)) = set.data {
            attributes = attributes.number(6, kind).number(7, length);
        }
        self.add(NEW_SET, flag::CREATE, attributes);
    }

    pub fn elements(&mut self, set: &str, elements: &[Element]) {
        if !elements.is_empty() {
            let attributes = self.list(set, elements);
            self.add(NEW_ELEMENT, flag::CREATE, attributes);
        }
    }

    pub fn delete_elements(&mut self, set: &str, elements: &[Element]) {
        if !elements.is_empty() {
            let attributes = self.list(set, elements);
            self.add(DELETE_ELEMENT, 0, attributes);
        }
    }

    fn list(&self, set: &str, elements: &[Element]) -> Attributes {
        let value = |bytes: &[u8]| Attributes::new().bytes(1, bytes);
        let list = elements.iter().fold(Attributes::new(), |list, element| {
            let mut one = Attributes::new().nest(1, value(&element.key));
            if let Some(data) = &element.data {
                one = one.nest(2, value(data));
            }
            if element.is_end {
                one = one.number(3, 1);
            }
            list.nest(1, one)
        });
        Attributes::new().text(1, self.table).text(2, set).nest(3, list)
    }

    /// The requests of the transaction; the last one is acknowledged.
    pub fn finish(self) -> Vec<Request> {
        let frame = |kind| {
            // the subsystem stands where other messages have a resource id
            let payload = vec![0, 0, 0, 10];
            Request { kind, flags: 0, payload }
        };
        let mut requests = vec![frame(BATCH_BEGIN)];
        requests.extend(self.requests);
        if let Some(last) = requests.last_mut() {
            last.flags |= flag::ACK;
        }
        requests.push(frame(BATCH_END));
        requests
    }
}

/// Asks for a table.
pub fn get_table(table: &str) -> Request {
    request(GET_TABLE, 0, INET, Attributes::new().text(1, table))
}

/// Asks for what rules log to a group: the beginning of each packet.
pub fn listen(group: u16) -> [Request; 2] {
    const CONFIGURE: u16 = (4 << 8) | 1;
    const BIND: u8 = 1;
    const COPY_PACKET: u8 = 2;
    let configure = |attributes: Attributes| {
        let [high, low] = group.to_be_bytes();
        let mut payload = vec![0, 0, high, low];
        payload.extend(attributes.0);
        Request { kind: CONFIGURE, flags: 0, payload }
    };
    let mode = [&128u32.to_be_bytes()[..], &[COPY_PACKET, 0]].concat();
    [configure(Attributes::new().bytes(1, &[BIND])), configure(Attributes::new().bytes(2, &mode))]
}
