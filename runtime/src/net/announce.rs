//! Telling the others on a link who has an address now. They remember for a while where its last owner was, and a container of the
//! other engine is elsewhere on the wire.

use super::netlink::link;
use super::{bridge, namespace};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Announces addresses that an interface of a namespace has got. Whoever misses it finds out by itself, later.
pub fn announce(namespace: BorrowedFd<'_>, interface: &str, addresses: &[IpAddr]) {
    let announce = || {
        let found = link::find(&mut bridge::inside(namespace)?, interface)?;
        let link = found.ok_or(io::ErrorKind::NotFound)?;
        let mac = link.mac.as_slice().try_into().map_err(io::Error::other)?;
        namespace::within(namespace, || {
            addresses.iter().try_for_each(|address| match address {
                IpAddr::V4(address) => by_arp(link.index, mac, *address),
                IpAddr::V6(address) => by_ndp(link.index, mac, *address),
            })
        })
    };
    let _: io::Result<()> = announce();
}

/// A request for one's own address (RFC 5227, section 3): whoever knows it takes notice.
fn by_arp(link: u32, mac: [u8; 6], address: Ipv4Addr) -> io::Result<()> {
    const ETHERNET_IPV4_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
    let family = AddressFamily::from_raw(libc::AF_PACKET as u16);
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let own = address.octets();
    let packet = [&ETHERNET_IPV4_REQUEST[..], &mac, &own, &[0; 6], &own].concat();
    // SAFETY: all zeros is a value of this type.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = (libc::ETH_P_ARP as u16).to_be();
    to.sll_ifindex = i32::try_from(link).map_err(io::Error::other)?;
    to.sll_halen = 6;
    to.sll_addr = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    // SAFETY: packet and address are read for the lengths given, and outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const to).cast(),
            size_of_val(&to) as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861, section 7.2.6), which overrides what they know.
fn by_ndp(link: u32, mac: [u8; 6], address: Ipv6Addr) -> io::Result<()> {
    const ADVERTISEMENT_THAT_OVERRIDES: [u8; 8] = [136, 0, 0, 0, 0x20, 0, 0, 0];
    const LINK_ADDRESS: [u8; 2] = [2, 1];
    let socket = socket_with(
        AddressFamily::INET6,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(ipproto::ICMPV6),
    )?;
    // others are to be dropped, as they may come from beyond the link
    sockopt::set_ipv6_multicast_hops(&socket, 255)?;
    rustix::net::bind(&socket, &SocketAddrV6::new(address, 0, 0, 0))?;
    let packet =
        [&ADVERTISEMENT_THAT_OVERRIDES[..], &address.octets(), &LINK_ADDRESS, &mac].concat();
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let to = SocketAddrV6::new(all_nodes, 0, 0, link);
    rustix::net::sendto(&socket, &packet, rustix::net::SendFlags::empty(), &to)?;
    Ok(())
}
