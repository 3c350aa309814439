//! What the kernel remembers of who talks to whom (connection tracking, linux/netfilter/nfnetlink_conntrack.h).
//!
//! The packet filter decides about the first packet of a flow; for all others the kernel keeps to what was decided, as long as
//! they come. So a client that goes on sending would be led for ever to a container that is gone, or, if it began before the
//! port was published, to nobody; and whoever gets the address of a container next would get what is meant for that one.

use super::elements::{Published, number};
use super::message::{Attributes, request};
use crate::net::netlink::{Request, Socket, attributes, gone, route};
use knarr_core::spec::Protocol;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const GET_COUNT: u16 = SUBSYSTEM | 5;
/// `AF_UNSPEC`: of both families.
const ANY: u8 = 0;

/// `CTA_*`
const THERE: u16 = 1;
const BACK: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;

/// One direction of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Direction {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// Of the destination; 0 where the protocol has none.
    port: u16,
}

/// A flow, as whoever began it sees it, and as the answers go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flow {
    there: Direction,
    back: Direction,
    removal: Request,
}

impl Flow {
    fn parse(payload: &[u8]) -> Option<Self> {
        let (family, fields) = (*payload.first()?, payload.get(4..)?);
        let field = |wanted| attributes(fields).find(|(kind, _)| *kind == wanted);
        let (there, back) = (field(THERE)?.1, field(BACK)?.1);
        let mut same = Attributes::new();
        // with its id: a later flow between the same ends is another one
        for (kind, value) in [THERE, ID, ZONE].into_iter().filter_map(field) {
            const NESTED: u16 = 0x8000;
            same = same.bytes(if kind == THERE { kind | NESTED } else { kind }, value);
        }
        Some(Self {
            there: direction(there)?,
            back: direction(back)?,
            removal: request(DELETE, 0, family, same),
        })
    }

    fn addresses(&self) -> [IpAddr; 4] {
        [self.there.source, self.there.destination, self.back.source, self.back.destination]
    }
}

/// `CTA_TUPLE_IP` with `CTA_IP_*`, and `CTA_TUPLE_PROTO` with `CTA_PROTO_*`.
fn direction(tuple: &[u8]) -> Option<Direction> {
    let part = |of, wanted| Some(attributes(of).find(|(kind, _)| *kind == wanted)?.1);
    let (addresses, protocol) = (part(tuple, 1)?, part(tuple, 2)?);
    let address = |four: u16, six: u16| match part(addresses, four) {
        Some(octets) => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)),
        None => Some(IpAddr::from(<[u8; 16]>::try_from(part(addresses, six)?).ok()?)),
    };
    let port = part(protocol, 3).and_then(|bytes| bytes.try_into().ok());
    Some(Direction {
        source: address(1, 3)?,
        destination: address(2, 4)?,
        protocol: *part(protocol, 1)?.first()?,
        port: port.map_or(0, u16::from_be_bytes),
    })
}

/// Ends the flows that are meant.
fn forget(socket: &mut Socket, is_meant: &mut dyn FnMut(&Flow) -> bool) -> io::Result<()> {
    // to go through the table takes the kernel ten milliseconds, however empty it is
    if count(socket)? == 0 {
        return Ok(());
    }
    let mut meant = Vec::new();
    let all = request(GET, 0, ANY, Attributes::new());
    socket.visit(all, &mut |reply| meant.extend(Flow::parse(&reply).filter(&mut *is_meant)))?;
    for flow in meant {
        gone(socket.execute(&[flow.removal]))?;
    }
    Ok(())
}

/// How many flows there are in the socket's namespace.
fn count(socket: &mut Socket) -> io::Result<u32> {
    let reply = socket.ask(request(GET_COUNT, 0, ANY, Attributes::new()))?.unwrap_or_default();
    let count = attributes(reply.get(4..).unwrap_or_default()).find(|(kind, _)| *kind == 1);
    let count = count.and_then(|(_, value)| value.try_into().ok());
    count.map(u32::from_be_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Ends the flows to ports that have just been published, which lead elsewhere: the next packet is led anew. But for TCP,
/// where a connection that leads elsewhere has nothing to say here.
pub fn lead_anew(socket: &mut Socket, published: &[Published]) -> io::Result<()> {
    let ports: Vec<_> = published.iter().filter(|p| p.port.protocol != Protocol::Tcp).collect();
    if ports.is_empty() {
        return Ok(());
    }
    let mut routes = Socket::route()?;
    let mut known: HashMap<IpAddr, bool> = HashMap::new();
    // as the packet filter has it, which leads nothing away that is meant for others than this host
    let mut is_own = |address| {
        let ask = || route::is_own(&mut routes, address).unwrap_or(false);
        *known.entry(address).or_insert_with(ask)
    };
    forget(socket, &mut |flow| {
        let to = flow.there;
        ports.iter().any(|Published { port, address }| {
            let same = number(port.protocol) == to.protocol && port.host_port == Some(to.port);
            same && address.is_ipv4() == to.destination.is_ipv4()
                && match port.host_ip.filter(|ip| !ip.is_unspecified()) {
                    Some(ip) => ip == to.destination,
                    None => is_own(to.destination),
                }
        })
    })
}

/// Ends the flows in which somebody has a part who is gone.
pub fn end(socket: &mut Socket, is_gone: &dyn Fn(IpAddr) -> bool) -> io::Result<()> {
    forget(socket, &mut |flow| flow.addresses().into_iter().any(is_gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: IpAddr, destination: IpAddr, port: u16) -> Attributes {
        let (kinds, octets) = match (source, destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => ([1, 2], [a.octets().to_vec(), b.octets().to_vec()]),
            (IpAddr::V6(a), IpAddr::V6(b)) => ([3, 4], [a.octets().to_vec(), b.octets().to_vec()]),
            _ => unreachable!(),
        };
        let ip = Attributes::new().bytes(kinds[0], &octets[0]).bytes(kinds[1], &octets[1]);
        let ports =
            Attributes::new().bytes(1, &[17]).bytes(2, &[0, 9]).bytes(3, &port.to_be_bytes());
        Attributes::new().nest(1, ip).nest(2, ports)
    }

    #[test]
    fn flows_as_the_kernel_tells_them() {
        for [client, host, container] in [
            ["198.51.100.1", "198.51.100.2", "172.17.0.2"],
            ["2001:db8::1", "2001:db8::2", "fd00::2"],
        ] {
            let [client, host, container] = [client, host, container].map(|a| a.parse().unwrap());
            let fields = Attributes::new()
                .nest(THERE, tuple(client, host, 5300))
                .nest(BACK, tuple(container, client, 9))
                .number(8, 1)
                .number(ID, 77);
            let payload = request(0, 0, if client.is_ipv4() { 2 } else { 10 }, fields).payload;
            let flow = Flow::parse(&payload).unwrap();
            assert_eq!((flow.there.destination, flow.there.port), (host, 5300));
            assert_eq!((flow.there.protocol, flow.back.source), (17, container));
            let removal: Vec<u16> =
                attributes(&flow.removal.payload[4..]).map(|(k, _)| k).collect();
            assert_eq!((flow.removal.payload[0], removal), (payload[0], vec![THERE, ID]));
            for cut in 0..payload.len() - 8 {
                assert!(Flow::parse(&payload[..cut]).is_none_or(|f| f.there == flow.there));
            }
        }
    }
}
