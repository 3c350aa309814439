//! A network's bridge in the host's namespace, and the links to it.

use super::netlink::{Socket, address, gone, link, link::Link, neighbour, route};
use super::{namespace, store};
use ipnet::IpNet;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::{DEFAULT_NETWORK, NetworkSpec};
use sha2::{Digest, Sha256};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// `-o`: the bridge's name.
pub const NAME: &str = "com.docker.network.bridge.name";
/// `-o`: the largest packet.
pub const MTU: &str = "com.docker.network.driver.mtu";
/// `-o`: whether packets that leave get the host's address.
pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// `-o`: the host's address on which ports are published that name none.
pub const PUBLISH_ON: &str = "com.docker.network.bridge.host_binding_ipv4";

/// Where nothing better is known.
const ETHERNET_MTU: u32 = 1500;

pub fn digits(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The name of a root's things in the kernel, which all roots share: the default root's is short.
pub fn mark(root: &Root) -> String {
    if root.data() == Path::new("/var/lib/knarr") {
        return "knarr".to_owned();
    }
    let path = root.data().as_os_str().as_encoded_bytes();
    format!("knarr-{}", &digits(&[path])[..8])
}

/// An interface's name has 15 characters at most.
pub fn name(root: &Root, network: &NetworkSpec) -> String {
    if let Some(name) = network.options.get(NAME) {
        name.clone()
    } else if network.name == DEFAULT_NETWORK && mark(root) == "knarr" {
        "knarr0".to_owned()
    } else {
        format!("kn-{}", network.id.short())
    }
}

/// The host's end of a container's link, so named that it can be found without a record.
pub fn link_of(network: &NetworkSpec, id: &ContainerId) -> String {
    let digits = digits(&[network.id.as_str().as_bytes(), id.as_str().as_bytes()]);
    format!("kv-{}", &digits[..12])
}

/// The host's end of the link of the namespace that Wasm containers share.
pub fn shared_link_of(network: &NetworkSpec) -> String {
    format!("ks-{}", network.id.short())
}

/// Locally administered, and the same for the same address: whoever remembers it remembers the right one.
pub fn mac_of(address: IpAddr) -> [u8; 6] {
    let end: [u8; 4] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (u128::from(address) as u32).to_be_bytes(),
    };
    [0x02, 0x42, end[0], end[1], end[2], end[3]]
}

/// What is on the bridge: the mark that it is complete.
pub fn alias(root: &Root, network: &NetworkSpec) -> String {
    format!("knarr network {} of {}", network.name, root.data().display())
}

/// Whether this is on a bridge of this root.
pub fn is_alias(root: &Root, text: &str) -> bool {
    let name = text.strip_prefix("knarr network ");
    name.is_some_and(|name| name.ends_with(&format!(" of {}", root.data().display())))
}

/// The network's bridge, made if it is not there (after a reboot, say).
pub fn ensure(socket: &mut Socket, root: &Root, network: &NetworkSpec) -> io::Result<Link> {
    let name = name(root, network);
    let alias = alias(root, network);
    loop {
        match link::find(socket, &name)? {
            Some(link) if link.alias.as_ref() == Some(&alias) => return Ok(link),
            // its maker is at work, or was killed
            Some(link) if link.is_bridge => complete(socket, &link, network, &alias)?,
            Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            None => match make(socket, &name, network) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            },
        }
    }
}

fn make(socket: &mut Socket, name: &str, network: &NetworkSpec) -> io::Result<()> {
    let mtu = match network.options.get(MTU).and_then(|mtu| mtu.parse().ok()) {
        Some(mtu) => mtu,
        None => uplink_mtu(socket)?,
    };
    let gateway = gateways(network).next().map_or(Ipv4Addr::UNSPECIFIED.into(), |g| g.addr());
    link::add_bridge(socket, name, mtu, mac_of(gateway))
}

/// Everything but the link itself; what is done already is left.
fn complete(
    socket: &mut Socket,
    link: &Link,
    network: &NetworkSpec,
    alias: &str,
) -> io::Result<()> {
    let ipv4 = |setting: &str| format!("net/ipv4/conf/{}/{setting}", link.name);
    let ipv6 = |setting: &str| format!("net/ipv6/conf/{}/{setting}", link.name);
    // packets from the host's loopback go to published ports; the packet filter lets nothing else of that through
    set(&ipv4("route_localnet"), "1")?;
    let has_ipv6 = network.ipv6.is_some();
    if sysctl(&ipv6("disable_ipv6")).exists() {
        set(&ipv6("disable_ipv6"), if has_ipv6 { "0" } else { "1" })?;
        set(&ipv6("accept_ra"), "0")?;
        set(&ipv6("accept_dad"), "0")?;
    }
    for gateway in gateways(network) {
        match socket.execute(&[address::add(link.index, gateway)]) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
    }
    set("net/ipv4/ip_forward", "1")?;
    if has_ipv6 {
        forward_ipv6(socket)?;
    }
    link::set_alias(socket, &link.name, alias)
}

/// A host that forwards IPv6 no longer configures itself by what routers announce, unless each interface is told to go on.
fn forward_ipv6(socket: &mut Socket) -> io::Result<()> {
    let all = "net/ipv6/conf/all/forwarding";
    if get(all)? == "1" {
        return Ok(());
    }
    for link in link::list(socket)? {
        let setting = format!("net/ipv6/conf/{}/accept_ra", link.name);
        if get(&setting).is_ok_and(|value| value == "1") {
            set(&setting, "2")?;
        }
    }
    set(all, "1")
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

fn get(name: &str) -> io::Result<String> {
    let text = fsx::read_to_string(&sysctl(name)).map_err(|e| e.source)?;
    Ok(text.trim().to_owned())
}

/// Only where it differs: `/proc/sys` may be read-only.
fn set(name: &str, value: &str) -> io::Result<()> {
    if get(name)? == value {
        return Ok(());
    }
    fsx::write(&sysctl(name), value).map_err(|e| e.source)
}

/// The largest packet that leaves the host whole.
fn uplink_mtu(socket: &mut Socket) -> io::Result<u32> {
    let routes = route::list(socket)?;
    let uplink = routes.iter().find(|r| r.destination.prefix_len() == 0).and_then(|r| r.link);
    let link = uplink.map(|index| link::by_index(socket, index)).transpose()?.flatten();
    Ok(link.map_or(ETHERNET_MTU, |link| link.mtu))
}

/// The gateways' addresses with the subnets' lengths.
pub fn gateways(network: &NetworkSpec) -> impl Iterator<Item = IpNet> {
    let ipv4 = network.ipv4.as_ref().map(|s| (IpAddr::V4(s.gateway), s.subnet.prefix_len()));
    let ipv6 = network.ipv6.as_ref().map(|s| (IpAddr::V6(s.gateway), s.subnet.prefix_len()));
    ipv4.into_iter().chain(ipv6).filter_map(|(address, length)| IpNet::new(address, length).ok())
}

/// Removes the bridge and every link to it.
pub fn remove(socket: &mut Socket, root: &Root, network: &NetworkSpec) -> io::Result<()> {
    let Some(bridge) = link::find(socket, &name(root, network))? else { return Ok(()) };
    if !bridge.is_bridge {
        return Ok(());
    }
    for port in link::list(socket)?.iter().filter(|l| l.master == Some(bridge.index)) {
        link::remove(socket, &port.name)?;
    }
    link::remove(socket, &bridge.name)
}

/// Forgets who had these addresses.
pub fn forget_neighbours(
    socket: &mut Socket,
    bridge: &str,
    addresses: &[IpAddr],
) -> io::Result<()> {
    let Some(bridge) = link::find(socket, bridge)? else { return Ok(()) };
    for address in addresses {
        gone(socket.execute(&[neighbour::forget(bridge.index, *address)]))?;
    }
    Ok(())
}

/// One end of a link that is to be in a namespace.
pub struct Plug<'a> {
    pub namespace: BorrowedFd<'a>,
    /// The name there: `eth0`, …
    pub interface: &'a str,
    /// The name of the host's end.
    pub host_name: String,
    pub mac: [u8; 6],
}

/// Links a namespace to a bridge.
pub fn plug(socket: &mut Socket, bridge: &Link, plug: &Plug) -> io::Result<()> {
    let new = link::NewPair {
        name: &plug.host_name,
        master: bridge.index,
        mtu: bridge.mtu,
        peer: plug.interface,
        peer_mac: plug.mac,
        namespace: plug.namespace.as_fd(),
    };
    match link::add_pair(socket, &new) {
        // a dead container's, which the kernel has not taken away yet
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            link::remove(socket, &plug.host_name)?;
            link::add_pair(socket, &new)
        }
        result => result,
    }
}

/// The first name that is free among the interfaces of a namespace.
pub fn free_interface(socket: &mut Socket) -> io::Result<String> {
    let links = link::list(socket)?;
    let free = (0..).map(|n| format!("eth{n}")).find(|name| links.iter().all(|l| l.name != *name));
    Ok(free.unwrap_or_default())
}

/// A socket for the links of a namespace.
pub fn inside(namespace: BorrowedFd<'_>) -> io::Result<Socket> {
    namespace::within(namespace, Socket::route)
}

/// Switches a namespace's loopback on.
pub fn switch_on(inside: &mut Socket) -> io::Result<()> {
    match link::find(inside, "lo")? {
        Some(loopback) if !loopback.is_up => inside.execute(&[link::up(loopback.index)]),
        _ => Ok(()),
    }
}

/// Switches on what is in a namespace: its loopback, and an interface with its addresses and routes.
pub fn configure(
    socket: &mut Socket,
    interface: &str,
    addresses: &[IpNet],
    subnets: &[IpNet],
    gateways: &[IpAddr],
) -> io::Result<()> {
    let index = |link: Option<Link>| link.map(|l| l.index).ok_or(io::ErrorKind::NotFound);
    let loopback = index(link::find(socket, "lo")?)?;
    let own = index(link::find(socket, interface)?)?;
    let mut requests = vec![link::up(loopback), link::up(own)];
    requests.extend(addresses.iter().map(|a| address::add(own, *a)));
    requests.extend(subnets.iter().map(|s| route::add_link(own, *s, route::MAIN)));
    requests.extend(gateways.iter().map(|g| route::add_default(own, *g, route::MAIN)));
    socket.execute(&requests)
}

/// What the packet filter has to know of a network.
pub fn filtered(root: &Root, network: &NetworkSpec) -> super::firewall::Network {
    super::firewall::Network {
        bridge: name(root, network),
        subnets: store::subnets(network).collect(),
        internal: network.internal,
        masquerade: network.options.get(MASQUERADE).is_none_or(|value| value != "false"),
    }
}
