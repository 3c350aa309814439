//! Bridges and veth pairs.

use super::{Request, Socket, flag, gone, is_absent};
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const NEW: u16 = 16;
const DELETE: u16 = 17;
const GET: u16 = 18;

/// What is known of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    pub mac: Vec<u8>,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    pub is_bridge: bool,
    pub is_up: bool,
    pub alias: Option<String>,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            is_up: message.header.flags.contains(LinkFlags::Up),
            ..Self::default()
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(mac) => link.mac = mac,
                LinkAttribute::Controller(index) => link.master = Some(index),
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
                LinkAttribute::LinkInfo(infos) => {
                    link.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
                }
                _ => {}
            }
        }
        link
    }
}

#[cfg(fuzzing)]
pub fn exercise(payload: &[u8]) {
    let _ = LinkMessage::parse(payload).map(Link::from);
}

fn message(attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = attributes;
    message
}

fn set_up(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}

fn parse(payload: &[u8]) -> io::Result<Link> {
    LinkMessage::parse(payload).map(Link::from).map_err(io::Error::other)
}

/// The link of this name; `None` if there is none.
pub fn find(socket: &mut Socket, name: &str) -> io::Result<Option<Link>> {
    get(socket, message(vec![LinkAttribute::IfName(name.to_owned())]))
}

pub fn by_index(socket: &mut Socket, index: u32) -> io::Result<Option<Link>> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    get(socket, message)
}

fn get(socket: &mut Socket, message: LinkMessage) -> io::Result<Option<Link>> {
    match socket.ask(Request::new(GET, 0, &message)) {
        Ok(Some(reply)) => Ok(Some(parse(&reply)?)),
        Ok(None) => Ok(None),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// All links.
pub fn list(socket: &mut Socket) -> io::Result<Vec<Link>> {
    let replies = socket.dump(Request::new(GET, 0, &LinkMessage::default()))?;
    replies.iter().map(|reply| parse(reply)).collect()
}

/// Makes a bridge, which is up; [`io::ErrorKind::AlreadyExists`] if there is a link of its name.
///
/// Its address is given, so that it does not change with its ports, and containers need not learn it anew.
pub fn add_bridge(socket: &mut Socket, name: &str, mtu: u32, mac: [u8; 6]) -> io::Result<()> {
    let mut bridge = message(vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
        ]),
    ]);
    set_up(&mut bridge);
    socket.execute(&[Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &bridge)])
}

/// Writes a note on a link.
pub fn set_alias(socket: &mut Socket, name: &str, alias: &str) -> io::Result<()> {
    let message = message(vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::IfAlias(alias.to_owned()),
    ]);
    socket.execute(&[Request::new(NEW, 0, &message)])
}

/// A pair of links: one end a port of a bridge here, the other in another namespace.
#[derive(Debug, Clone)]
pub struct NewPair<'a> {
    pub name: &'a str,
    /// The bridge.
    pub master: u32,
    pub mtu: u32,
    pub peer: &'a str,
    pub peer_mac: [u8; 6],
    pub namespace: BorrowedFd<'a>,
}

/// Makes the pair; the end here is up. The peer is made in its namespace directly: moving it there would cost the kernel a
/// grace period.
pub fn add_pair(socket: &mut Socket, new: &NewPair) -> io::Result<()> {
    let peer = message(vec![
        LinkAttribute::IfName(new.peer.to_owned()),
        LinkAttribute::Mtu(new.mtu),
        LinkAttribute::Address(new.peer_mac.to_vec()),
        LinkAttribute::NetNsFd(new.namespace.as_raw_fd()),
    ]);
    let mut pair = message(vec![
        LinkAttribute::IfName(new.name.to_owned()),
        LinkAttribute::Mtu(new.mtu),
        LinkAttribute::Controller(new.master),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ]);
    set_up(&mut pair);
    // Without it a container does not reach itself by a published port where the bridge hands its packets to the packet
    // filter (bridge-nf-call-iptables): the answer has to leave by the port that it came in by.
    let hairpin = message(vec![
        LinkAttribute::IfName(new.name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
        ]),
    ]);
    socket.execute(&[Request::new(NEW, flag::CREATE | flag::EXCLUSIVE, &pair)])?;
    socket.execute(&[Request::new(NEW, 0, &hairpin)])
}

/// Switches a link on.
pub fn up(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Unspec;
    message.header.index = index;
    set_up(&mut message);
    Request::new(NEW, 0, &message)
}

/// Removes a link; one that is gone is removed. Of a pair both ends go.
pub fn remove(socket: &mut Socket, name: &str) -> io::Result<()> {
    let message = message(vec![LinkAttribute::IfName(name.to_owned())]);
    gone(socket.execute(&[Request::new(DELETE, 0, &message)]))
}
