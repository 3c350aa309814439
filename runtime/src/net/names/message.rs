//! DNS messages (RFC 1035, RFC 6891): as much of them as is needed to answer for containers, to ask for addresses, and to
//! pass on everything else untouched. Whatever comes in is hostile: reading never panics, and never reads on without end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;
pub(crate) const ANY: u16 = 255;
const OPT: u16 = 41;
const INTERNET: u16 = 1;

/// The longest name (RFC 1035, 2.3.4), as text.
const LONGEST: usize = 253;
const HEADER: usize = 12;
/// What every client takes in a datagram (RFC 1035, 4.2.1).
const SMALLEST: usize = 512;
/// The most that is sent in a datagram, whatever the client offers.
const LARGEST: usize = 4096;
/// Seconds for which an answer may be kept. Short: containers come and go.
const KEPT: u32 = 5;

const RESPONSE: u16 = 0x8000;
const OPERATION: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;

/// The outcome of a question (RFC 1035, 4.1.1, "RCODE").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    Malformed = 1,
    Failed = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// The data of one record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Address(IpAddr),
    Name(String),
}

/// One question of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub id: u16,
    flags: u16,
    /// As it came, so that it can be given back: some clients compare upper and lower case.
    question: Vec<u8>,
    /// Lower case, without a dot at the end; bytes that are no text in host names are replaced.
    pub name: String,
    pub kind: u16,
    /// Bytes that the client takes in a datagram; `None` if it does not know of EDNS.
    extended: Option<usize>,
}

/// What is to be done about a message that is not a query we can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Nothing: an answer to it could be the start of an endless exchange.
    Ignore,
    Answer(Vec<u8>),
}

impl Query {
    pub fn parse(message: &[u8]) -> Result<Self, Unreadable> {
        let (Some(id), Some(flags)) = (field(message, 0), field(message, 2)) else {
            return Err(Unreadable::Ignore);
        };
        if flags & RESPONSE != 0 || message.len() < HEADER {
            return Err(Unreadable::Ignore);
        }
        let refuse = |code| Unreadable::Answer(header(id, flags, code, [0; 4]));
        if flags & OPERATION != 0 {
            return Err(refuse(Code::NotImplemented));
        }
        Self::read(message, id, flags).ok_or_else(|| refuse(Code::Malformed))
    }

    fn read(message: &[u8], id: u16, flags: u16) -> Option<Self> {
        if field(message, 4)? != 1 {
            return None;
        }
        let (name, end) = read_name(message, HEADER)?;
        let (kind, class) = (field(message, end)?, field(message, end + 2)?);
        if class != INTERNET {
            return None;
        }
        let question = message.get(HEADER..end + 4)?.to_owned();
        let mut query = Self { id, flags, question, name, kind, extended: None };
        let records = [6, 8, 10].map(|at| field(message, at));
        let mut at = end + 4;
        for _ in 0..records.into_iter().map(|n| n.map_or(0, usize::from)).sum() {
            let record = Record::read(message, at)?;
            at = record.end;
            if record.kind == OPT {
                query.extended = Some(usize::from(record.class).clamp(SMALLEST, LARGEST));
            }
        }
        Some(query)
    }

    /// An answer of these records; over a stream it may have any length, in a datagram one that is too long is cut, and
    /// the client asks again over TCP.
    pub fn answer(&self, code: Code, records: &[Data], stream: bool) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
        let extended = u16::from(self.extended.is_some());
        let mut message = header(self.id, self.flags, code, [1, count, 0, extended]);
        message.extend(&self.question);
        for data in records.iter().take(count.into()) {
            let (kind, bytes) = match data {
                Data::Address(IpAddr::V4(ip)) => (A, ip.octets().to_vec()),
                Data::Address(IpAddr::V6(ip)) => (AAAA, ip.octets().to_vec()),
                Data::Name(name) => (PTR, write_name(name).unwrap_or_else(|| vec![0])),
            };
            message.extend((0xc000 | HEADER as u16).to_be_bytes());
            message.extend(kind.to_be_bytes());
            message.extend(INTERNET.to_be_bytes());
            message.extend(KEPT.to_be_bytes());
            message.extend((bytes.len() as u16).to_be_bytes());
            message.extend(bytes);
        }
        let limit = match stream {
            true => usize::from(u16::MAX) - 11,
            false => self.extended.unwrap_or(SMALLEST),
        };
        if message.len() + 11 * usize::from(extended) > limit {
            message.truncate(HEADER + self.question.len());
            let flags = field(&message, 2).unwrap_or_default() | TRUNCATED;
            message[2..4].copy_from_slice(&flags.to_be_bytes());
            message[6..8].copy_from_slice(&[0, 0]);
        }
        if extended == 1 {
            message.push(0);
            message.extend(OPT.to_be_bytes());
            message.extend((LARGEST as u16).to_be_bytes());
            message.extend([0; 6]);
        }
        message
    }

    /// Whether this is a response to this question, sent with the given id.
    pub fn is_answered_by(&self, message: &[u8], id: u16) -> bool {
        let end = HEADER + self.question.len();
        field(message, 0) == Some(id)
            && field(message, 2).is_some_and(|flags| flags & RESPONSE != 0)
            // a server that could not read the question need not repeat it
            && (field(message, 4) == Some(0) && code(message) != Code::Done
                || field(message, 4) == Some(1)
                    && message
                        .get(HEADER..end)
                        .is_some_and(|question| question.eq_ignore_ascii_case(&self.question)))
    }
}

/// Replaces the id of a message.
pub(crate) fn set_id(message: &mut [u8], id: u16) {
    if let Some(field) = message.get_mut(..2) {
        field.copy_from_slice(&id.to_be_bytes());
    }
}

/// The response code of a message.
pub(crate) fn code(message: &[u8]) -> Code {
    match field(message, 2).unwrap_or_default() & 0x000f {
        0 => Code::Done,
        1 => Code::Malformed,
        3 => Code::NoSuchName,
        4 => Code::NotImplemented,
        5 => Code::Refused,
        _ => Code::Failed,
    }
}

/// Whether the rest of a response has to be fetched over TCP.
pub(crate) fn is_truncated(message: &[u8]) -> bool {
    field(message, 2).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// All addresses in the answer section of a response. The servers that are asked resolve aliases themselves, so any of
/// them is one of the name that was asked for. `None`: the message ends in the middle.
pub(crate) fn addresses(message: &[u8]) -> Option<Vec<IpAddr>> {
    let mut at = HEADER;
    for _ in 0..field(message, 4)? {
        at = skip_name(message, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..field(message, 6)? {
        let record = Record::read(message, at)?;
        at = record.end;
        match (record.kind, record.class) {
            (A, INTERNET) => addresses.push(<[u8; 4]>::try_from(record.data).ok()?.into()),
            (AAAA, INTERNET) => addresses.push(<[u8; 16]>::try_from(record.data).ok()?.into()),
            _ => {}
        }
    }
    Some(addresses)
}

/// A question with recursion desired; `None` if the name is not one.
pub(crate) fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut message = header(id, RECURSION_DESIRED, Code::Done, [1, 0, 0, 0]);
    message[2..4].copy_from_slice(&RECURSION_DESIRED.to_be_bytes());
    message.extend(write_name(name)?);
    message.extend(kind.to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    Some(message)
}

/// The address that a question for its name asks about (RFC 1035, 3.5; RFC 3596, 2.5).
pub(crate) fn address_of_reverse(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let mut address = [0; 4];
        let mut parts = octets.split('.').rev();
        for octet in &mut address {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(address).into());
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let mut address = 0u128;
    let mut count = 0;
    for nibble in nibbles.split('.').rev() {
        let digit = u128::from_str_radix(nibble, 16).ok().filter(|_| nibble.len() == 1)?;
        count += 1;
        address = address << 4 | digit;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(address).into())
}

/// A resource record.
struct Record<'a> {
    kind: u16,
    class: u16,
    data: &'a [u8],
    end: usize,
}

impl<'a> Record<'a> {
    fn read(message: &'a [u8], at: usize) -> Option<Self> {
        let at = skip_name(message, at)?;
        let (kind, class, length) =
            (field(message, at)?, field(message, at + 2)?, usize::from(field(message, at + 8)?));
        let end = at + 10 + length;
        Some(Self { kind, class, data: message.get(at + 10..end)?, end })
    }
}

/// The header of a response.
fn header(id: u16, asked: u16, code: Code, counts: [u16; 4]) -> Vec<u8> {
    let flags =
        RESPONSE | asked & (OPERATION | RECURSION_DESIRED) | RECURSION_AVAILABLE | code as u16;
    let mut message = Vec::with_capacity(128);
    for field in [id, flags].into_iter().chain(counts) {
        message.extend(field.to_be_bytes());
    }
    message
}

fn field(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]))
}

/// A name without pointers, which a question cannot have, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        match length {
            0 => return Some((name, at)),
            64.. => return None,
            _ if !name.is_empty() => name.push('.'),
            _ => {}
        }
        // a dot inside a label must not pass for two labels
        name.extend(label.iter().map(|byte| match byte {
            b'!'..=b'~' if *byte != b'.' => char::from(byte.to_ascii_lowercase()),
            _ => '\u{fffd}',
        }));
        if at - HEADER > LONGEST + 1 {
            return None;
        }
    }
}

fn write_name(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    if name.len() > LONGEST {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    Some(bytes)
}

/// Past a name, which may end in a pointer (RFC 1035, 4.1.4).
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Query {
        Query::parse(&question(7, name, kind).unwrap()).unwrap()
    }

    #[test]
    fn questions_and_answers() {
        let asked = query("Db.Example", A);
        assert_eq!((asked.id, asked.name.as_str(), asked.kind), (7, "db.example", A));
        let ips: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let answer = asked.answer(Code::Done, &ips.map(Data::Address), false);
        assert!(asked.is_answered_by(&answer, 7) && !asked.is_answered_by(&answer, 8));
        assert!(!query("other", A).is_answered_by(&answer, 7));
        assert_eq!(addresses(&answer), Some(ips.to_vec()));
        // upper case stays
        assert_eq!(&answer[13..15], b"Db");
        for end in 0..answer.len() {
            assert_eq!(addresses(&answer[..end]), None);
            assert_eq!(Query::parse(&answer[..end]), Err(Unreadable::Ignore));
        }
        assert_eq!(code(&asked.answer(Code::NoSuchName, &[], false)), Code::NoSuchName);
    }

    #[test]
    fn long_answers_are_cut() {
        let mut message = question(7, "db", A).unwrap();
        let many: Vec<Data> =
            (0..100).map(|i| Data::Address(Ipv4Addr::new(10, 0, 0, i).into())).collect();
        let answer = Query::parse(&message).unwrap().answer(Code::Done, &many, false);
        assert!(is_truncated(&answer) && answer.len() < 512);
        let answer = Query::parse(&message).unwrap().answer(Code::Done, &many, true);
        assert_eq!(addresses(&answer).unwrap().len(), 100);
        // EDNS: 4096 bytes
        message[11] = 1;
        message.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        let answer = Query::parse(&message).unwrap().answer(Code::Done, &many, false);
        assert!(!is_truncated(&answer));
        assert_eq!(addresses(&answer).unwrap().len(), 100);
        assert_eq!(answer[answer.len() - 11..][..5], [0, 0, 41, 16, 0]);
    }

    #[test]
    fn what_is_no_question() {
        let good = question(7, "a.b", A).unwrap();
        for end in 0..good.len() {
            assert!(Query::parse(&good[..end]).is_err());
        }
        let mut operation = good.clone();
        operation[2] = 0x28;
        let Err(Unreadable::Answer(answer)) = Query::parse(&operation) else { panic!() };
        assert_eq!(code(&answer), Code::NotImplemented);
        let mut pointer = good.clone();
        pointer[12] = 0xc0;
        let Err(Unreadable::Answer(answer)) = Query::parse(&pointer) else { panic!() };
        assert_eq!(code(&answer), Code::Malformed);
        let mut dotted = good;
        dotted[13] = b'.';
        assert_eq!(Query::parse(&dotted).unwrap().name, "\u{fffd}.b");
        assert!(question(7, "a..b", A).is_none() && question(7, &"x".repeat(64), A).is_none());
    }

    #[test]
    fn names_of_addresses() {
        let v4 = address_of_reverse("5.0.17.172.in-addr.arpa");
        assert_eq!(v4, Some("172.17.0.5".parse().unwrap()));
        let v6 = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        assert_eq!(address_of_reverse(&v6), Some("fd00::1".parse().unwrap()));
        for name in ["5.0.17.in-addr.arpa", "256.0.0.1.in-addr.arpa", "1.ip6.arpa", "x"] {
            assert_eq!(address_of_reverse(name), None);
        }
    }
}
