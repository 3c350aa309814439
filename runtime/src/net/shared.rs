//! The namespace that the Wasm containers of a network share: each has its address there, as one of the interface's.
//!
//! It is made with the first of them and stays until the network is removed, so that a start costs one address. A mount
//! keeps it; where that is lost or cannot be seen, it is found by a container that runs in it.

use super::bridge::{self, Plug};
use super::error::Result;
use super::netlink::link::Link;
use super::netlink::{Request, Socket, address, gone, link, route, rule};
use super::step::failed;
use super::{endpoint, lease, namespace, store};
use crate::state::{self, Placement};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use knarr_core::root::Root;
use knarr_core::spec::EngineKind;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::sys;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub const INTERFACE: &str = "eth0";

/// An address that nobody uses (RFC 7600, section 4.8). The kernel drops an interface's routes with its last address, and
/// containers come and go.
const STAYS: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 8), 32));

/// What stands for the guests' ::1, one address for each. Routers discard packets for these (RFC 6666).
pub(super) const LOOPBACKS: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64);

/// What stands for the ::1 of the guest for whose 127.0.0.1 this address stands.
pub(crate) fn loopback6(of: Ipv4Addr) -> Ipv6Addr {
    (u128::from(LOOPBACKS.addr()) | u128::from(u32::from(of))).into()
}

/// Whether this is a loopback address of anybody in a shared namespace.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || matches!(ip, IpAddr::V6(ip) if LOOPBACKS.contains(&ip))
}

/// The namespace, if there is one.
pub fn find(root: &Root, network: &NetworkSpec) -> Result<Option<OwnedFd>> {
    let path = root.network(&network.name).shared_namespace();
    if let Some(namespace) = namespace::mounted(&path)? {
        return Ok(Some(namespace));
    }
    for endpoint in endpoint::endpoints(root, &network.name)? {
        let id = &endpoint.container;
        if !endpoint.is_up() || !lease::is_alive(root, id)? {
            continue;
        }
        // records of a container that ends just now say nothing
        let Ok(container) = state::load(root, id) else { continue };
        let first = super::memberships_in_order(root, &container.spec)?;
        let lives_there = first.first().is_some_and(|(first, _)| first.id == network.id);
        if container.spec.engine == EngineKind::Wasm
            && lives_there
            && let Some(pid) = container.state.pid
            && let Ok(namespace) = namespace::of_process(pid)
            && has_interface_of(network, namespace.as_fd()).unwrap_or(false)
        {
            return Ok(Some(namespace));
        }
    }
    Ok(None)
}

/// The namespace, made if there is none. The caller holds the network's lock.
pub fn ensure(
    socket: &mut Socket,
    root: &Root,
    network: &NetworkSpec,
    bridge: &Link,
) -> Result<OwnedFd> {
    if let Some(namespace) = find(root, network)? {
        return Ok(namespace);
    }
    let failed = |source| failed(super::Step::Namespace, &network.name, source);
    let namespace = namespace::make_for_guests().map_err(failed)?;
    let host_name = bridge::shared_link_of(network);
    let gateways: Vec<IpAddr> = bridge::gateways(network).map(|g| g.addr()).collect();
    let mac = mac_of(network);
    let plug = Plug { namespace: namespace.as_fd(), interface: INTERFACE, host_name, mac };
    let made = bridge::plug(socket, bridge, &plug).and_then(|()| {
        let mut inside = bridge::inside(namespace.as_fd())?;
        let subnets: Vec<IpNet> = store::subnets(network).collect();
        let gateways = if network.internal { &[][..] } else { &gateways };
        bridge::configure(&mut inside, INTERFACE, &[STAYS], &subnets, gateways)?;
        // without IPv6 there is no ::1 either
        let _ = make_loopbacks(&mut inside, namespace.as_fd());
        Ok(())
    });
    made.map_err(failed)?;
    let paths = root.network(&network.name);
    sys::create_private_dir_all(paths.run())?;
    namespace::mount(&namespace, &paths.shared_namespace())?;
    Ok(namespace)
}

fn mac_of(network: &NetworkSpec) -> [u8; 6] {
    let gateway = bridge::gateways(network).next().map(|g| g.addr());
    let mut mac = bridge::mac_of(gateway.unwrap_or([0; 4].into()));
    // the gateway has the address without it
    mac[1] = 0x43;
    mac
}

/// Makes all of [`LOOPBACKS`] addresses of the namespace, for those who are in it alone: what comes in by an interface is not
/// looked up there.
fn make_loopbacks(inside: &mut Socket, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let loopback = index(inside, "lo")?;
    let requests = [
        route::add_own(loopback, LOOPBACKS.into(), LOOPBACK),
        rule::add_local(LOOPBACKS.into(), LOOPBACK, LOOPBACK),
    ];
    inside.execute(&requests)?;
    // what is an address by a route alone can only be bound with this
    namespace::set(namespace, "ipv6/ip_nonlocal_bind", "1")
}

/// A container may live in the namespace of a network that it has left.
fn has_interface_of(network: &NetworkSpec, namespace: BorrowedFd<'_>) -> io::Result<bool> {
    let link = link::find(&mut bridge::inside(namespace)?, INTERFACE)?;
    Ok(link.is_some_and(|link| link.mac == mac_of(network)))
}

/// Gives the shared interface one container's addresses.
pub fn add(namespace: BorrowedFd<'_>, addresses: &[IpAddr]) -> io::Result<()> {
    let mut inside = bridge::inside(namespace)?;
    let index = index(&mut inside, INTERFACE)?;
    for one in addresses {
        attempt(&mut inside, address::add(index, IpNet::from(*one)))?;
    }
    Ok(())
}

fn index(socket: &mut Socket, interface: &str) -> io::Result<u32> {
    let link = link::find(socket, interface)?;
    Ok(link.ok_or(io::ErrorKind::NotFound)?.index)
}

/// Makes what may be there already, left by somebody who died.
fn attempt(socket: &mut Socket, request: Request) -> io::Result<()> {
    match socket.execute(&[request]) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Before the addresses of the namespace itself are looked up: what must not be reached.
const PROHIBITED: u32 = 10;
/// The guests' loopback addresses of IPv6: the number of their table and its rule.
const LOOPBACK: u32 = 50;
/// The namespace's own addresses, which the kernel looks up first of all unless told otherwise.
const OWN: u32 = 100;
/// Afterwards: by which interface an address of a further network leaves.
const SOURCE: u32 = 200;

/// The name of a further network's interface.
pub fn interface_of(network: &NetworkSpec) -> String {
    format!("kn-{}", network.id.short())
}

/// Gives a container that lives in this namespace addresses on a further network, by an interface of that network's own.
///
/// All containers of the namespace could use it; so its addresses alone are routed there, and nothing goes from one
/// network's addresses to another's, not even to those that are here.
pub fn extend(
    socket: &mut Socket,
    root: &Root,
    network: &NetworkSpec,
    bridge: &Link,
    namespace: BorrowedFd<'_>,
    addresses: &[IpAddr],
) -> io::Result<()> {
    let mut inside = bridge::inside(namespace)?;
    let interface = interface_of(network);
    if link::find(&mut inside, &interface)?.is_none() {
        let inode = rustix::fs::fstat(namespace)?.st_ino;
        let host_name = format!(
            "kx-{:.12}",
            bridge::digits(&[network.id.as_str().as_bytes(), &inode.to_ne_bytes()])
        );
        let mac = bridge::mac_of(addresses.first().copied().unwrap_or([0; 4].into()));
        let plug = Plug { namespace, interface: &interface, host_name, mac };
        bridge::plug(socket, bridge, &plug)?;
    }
    let index = index(&mut inside, &interface)?;
    inside.execute(&[link::up(index)])?;
    // beyond the numbers that have a meaning
    let table = 1000 + index;
    for (subnet, gateway) in store::subnets(network).zip(bridge::gateways(network)) {
        attempt(&mut inside, route::add_link(index, subnet, table))?;
        if !network.internal {
            attempt(&mut inside, route::add_default(index, gateway.addr(), table))?;
        }
        let is_ipv4 = subnet.addr().is_ipv4();
        for other in subnets_in(&mut inside, root, network, namespace)? {
            if other.addr().is_ipv4() == is_ipv4 {
                attempt(&mut inside, rule::prohibit(subnet, other, PROHIBITED))?;
                attempt(&mut inside, rule::prohibit(other, subnet, PROHIBITED))?;
            }
        }
        attempt(&mut inside, rule::add_table(is_ipv4, OWN, rule::LOCAL))?;
        gone(inside.execute(&[rule::remove_table(is_ipv4, 0, rule::LOCAL)]))?;
    }
    for one in addresses {
        attempt(&mut inside, rule::add_from(*one, SOURCE, table))?;
        attempt(&mut inside, address::add(index, IpNet::from(*one)))?;
    }
    Ok(())
}

/// The subnets of the other networks that this namespace has a part in.
fn subnets_in(
    inside: &mut Socket,
    root: &Root,
    network: &NetworkSpec,
    namespace: BorrowedFd<'_>,
) -> io::Result<Vec<IpNet>> {
    let links = link::list(inside)?;
    let mut subnets = Vec::new();
    for other in store::list(root).map_err(io::Error::other)? {
        let has_interface = links.iter().any(|link| link.name == interface_of(&other));
        if other.id != network.id && (has_interface || is_home(root, &other, namespace)?) {
            subnets.extend(store::subnets(&other));
        }
    }
    Ok(subnets)
}

/// Takes one container's addresses on a network away, from whichever shared namespace has them, or from this one.
pub fn withdraw(
    root: &Root,
    network: &NetworkSpec,
    namespace: Option<BorrowedFd<'_>>,
    addresses: &[IpAddr],
) -> Result<()> {
    let failed = |e| failed(super::Step::Address, &network.name, e);
    let further = interface_of(network);
    for owner in store::list(root)? {
        let path = root.network(&owner.name).shared_namespace();
        if let Some(namespace) = namespace::mounted(&path)? {
            let interface = if owner.id == network.id { INTERFACE } else { &further };
            remove(namespace.as_fd(), interface, addresses).map_err(failed)?;
        }
    }
    // nobody else finds one that the container has to itself
    namespace.map_or(Ok(()), |namespace| remove(namespace, &further, addresses).map_err(failed))
}

fn remove(namespace: BorrowedFd<'_>, interface: &str, addresses: &[IpAddr]) -> io::Result<()> {
    let mut inside = bridge::inside(namespace)?;
    let Some(link) = link::find(&mut inside, interface)? else { return Ok(()) };
    for one in addresses {
        gone(inside.execute(&[address::remove(link.index, IpNet::from(*one))]))?;
        if interface != INTERFACE {
            gone(inside.execute(&[rule::remove_from(*one, SOURCE, 1000 + link.index)]))?;
        }
    }
    Ok(())
}

/// Whether this is the namespace that the network's own containers share.
pub fn is_home(root: &Root, network: &NetworkSpec, namespace: BorrowedFd<'_>) -> io::Result<bool> {
    let own = namespace::mounted(&root.network(&network.name).shared_namespace());
    let own = own.map_err(|e| e.source)?;
    Ok(own.is_some_and(|own| namespace::is_same(own.as_fd(), namespace)))
}

/// The names of the containers that live in a network's namespace, whether they belong to the network or not: one that has
/// left it while it runs goes on living there.
pub fn residents(root: &Root, network: &NetworkSpec) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for container in state::all(root).into_iter().flatten().flatten() {
        let is_guest = matches!(container.state.placement, Placement::Shared { .. });
        if let Some(pid) = container.state.pid.filter(|_| is_guest && container.state.is_alive())
            && lease::is_alive(root, container.id())?
            && let Ok(namespace) = namespace::of_process(pid)
            && is_home(root, network, namespace.as_fd()).unwrap_or(false)
        {
            names.push(container.state.name);
        }
    }
    Ok(names)
}
