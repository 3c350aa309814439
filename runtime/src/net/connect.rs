//! `network connect` and `disconnect`, of containers that run and of those that do not.

use super::announce::announce;
use super::attach::{self, configure, leads_in, lease_all, plug_of, published};
use super::depart::{Leases, Leave, Links, Membership};
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::firewall::Firewall;
use super::netlink::{Socket, route};
use super::step::{Observe, Progress, Step, failed};
use super::{bridge, endpoint, namespace, reload, shared, store};
use crate::state::{Container, Placement};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec};
use knarr_core::spec::{Attachment, EngineKind, NetworkMode};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Makes a container a member of a network, and gives it its place there at once if it runs. Undoes what it did when it
/// fails.
///
/// The caller knows that the container is not just being started, and tells its monitor.
pub fn connect(
    root: &Root,
    container: &Container,
    wish: &Attachment,
    observe: Observe,
) -> Result<()> {
    if !matches!(container.spec.network, NetworkMode::Networks(_)) {
        return Err(Error::NoOwnNetwork { container: container.id().clone() });
    }
    let id = container.id();
    let network = store::find(root, &wish.network)?;
    endpoint::join(root, id, &container.state.name, wish)?;
    if container.spec.restart.is_lasting() {
        endpoint::keep(root, id)?;
    }
    let Some(pid) = alive(container) else {
        return Ok(());
    };
    let connected = plug(root, container, &network, pid, &mut Progress { observe });
    if connected.is_err() {
        // as before; the cause matters more than what is left, which the next command finds
        let kept = root.container(id).kept_leases().join(&network.name).exists();
        let leases = if kept { Leases::Keep } else { Leases::Release };
        let _ = take_back(root, container, &network, leases);
    }
    connected.and_then(|()| republish(root, container))
}

fn alive(container: &Container) -> Option<u32> {
    container.state.pid.filter(|_| container.state.is_alive())
}

/// What connecting it at its start does, under the same lock.
fn plug(
    root: &Root,
    container: &Container,
    network: &NetworkSpec,
    pid: u32,
    progress: &mut Progress,
) -> Result<()> {
    let (spec, id, name) = (&container.spec, container.id(), &network.name);
    let carried = container.state.placement == Placement::Carried;
    match (spec.engine, network.driver) {
        (EngineKind::Native, Driver::Loopback) => {
            return Err(Error::Driver { network: name.clone(), container: id.clone() });
        }
        (EngineKind::Wasm, driver) if carried != (driver == Driver::Loopback) => {
            return Err(Error::OtherDriver { network: name.clone(), container: id.clone() });
        }
        _ => {}
    }
    let _lock = Lock::exclusive_directory(root.network(name).data())?;
    let endpoint = endpoint::load(root, name, id)?.ok_or_else(|| not_joined(name, id))?;
    let mut bridged = None;
    if network.driver == Driver::Bridge {
        let mut socket = Socket::route().map_err(|e| failed(Step::Bridge, name, e))?;
        let bridge =
            progress.step(Step::Bridge, name, || bridge::ensure(&mut socket, root, network))?;
        progress.step(Step::Rules, name, || Ok(()))?;
        reload::ensure(root)?;
        bridged = Some((socket, bridge, namespace::of_process(pid)?));
    }
    progress.step(Step::Lease, name, || Ok(()))?;
    let mut endpoint = lease_all(root, network, endpoint)?;
    let addresses: Vec<IpAddr> = endpoint.addresses().collect();
    if let Some((socket, bridge, namespace)) = &mut bridged {
        let namespace = namespace.as_fd();
        let interface = match spec.engine {
            EngineKind::Wasm => {
                let is_home = shared::is_home(root, network, namespace)
                    .map_err(|e| failed(Step::Namespace, name, e))?;
                let extend =
                    || shared::extend(socket, root, network, bridge, namespace, &addresses);
                match is_home {
                    true => {
                        let add = || shared::add(namespace, &addresses);
                        progress.step(Step::Address, name, add)?;
                        shared::INTERFACE.to_owned()
                    }
                    false => {
                        progress.step(Step::Link, name, extend)?;
                        shared::interface_of(network)
                    }
                }
            }
            EngineKind::Native => {
                endpoint.mac = endpoint.mac_of_interface();
                let mut inside =
                    bridge::inside(namespace).map_err(|e| failed(Step::Link, name, e))?;
                let interface =
                    bridge::free_interface(&mut inside).map_err(|e| failed(Step::Link, name, e))?;
                let plug = plug_of(spec, network, &endpoint, namespace, &interface);
                progress.step(Step::Link, name, || bridge::plug(socket, bridge, &plug))?;
                progress.step(Step::Address, name, || {
                    let has_default = !network.internal && lacks_default(&mut inside)?;
                    configure(network, &endpoint, namespace, &interface, has_default)
                })?;
                interface
            }
        };
        if endpoint.is_wished() {
            announce(namespace, &interface, &addresses);
        }
    }
    progress.step(Step::Record, name, || Ok(()))?;
    endpoint::write(root, name, &endpoint)
}

fn not_joined(network: &str, id: &ContainerId) -> Error {
    Error::NotJoined { network: network.to_owned(), container: id.clone() }
}

fn lacks_default(inside: &mut Socket) -> io::Result<bool> {
    Ok(route::list(inside)?.iter().all(|route| route.destination.prefix_len() > 0))
}

/// Ends a container's membership, and takes its place on the network away if it runs. The caller tells its monitor.
pub fn disconnect(root: &Root, container: &Container, name: &str) -> Result<()> {
    let leases = match (alive(container), container.spec.engine) {
        (Some(_), EngineKind::Wasm) => Leases::Keep,
        _ => Leases::Release,
    };
    take_back(root, container, &store::find(root, name)?, leases)?;
    republish(root, container)
}

/// Leads the published ports of a container that runs to another of its networks if the one has gone that they led to.
fn republish(root: &Root, container: &Container) -> Result<()> {
    let ports = &container.state.ports;
    if ports.is_empty() || alive(container).is_none() {
        return Ok(());
    }
    let networks = attach::memberships_in_order(root, &container.spec)?;
    if networks.iter().any(|(_, endpoint)| !endpoint.ports.is_empty()) {
        return Ok(());
    }
    let open = networks.into_iter().find(|(network, place)| leads_in(network) && place.is_up());
    let Some((network, place)) = open else { return Ok(()) };
    let _lock = Lock::exclusive_directory(root.network(&network.name).data())?;
    let place = Endpoint { ports: ports.clone(), ..place };
    endpoint::write(root, &network.name, &place)?;
    let added = Firewall::open(bridge::mark(root)).and_then(|mut f| f.add(&[], &published(&place)));
    added.map_err(|e| failed(Step::Publish, &network.name, e))
}

fn take_back(
    root: &Root,
    container: &Container,
    network: &NetworkSpec,
    leases: Leases,
) -> Result<()> {
    let id = container.id();
    let Some(endpoint) = endpoint::load(root, &network.name, id)? else {
        return Err(not_joined(&network.name, id));
    };
    // a native container's is its own, and a guest that the loopback carries is on the host's
    let shares = matches!(container.state.placement, Placement::Shared { .. });
    let namespace = alive(container).map(namespace::of_process).transpose()?;
    let mut links = Links::default();
    let leave = Leave {
        root,
        network,
        namespace: namespace.as_ref().filter(|_| shares).map(AsFd::as_fd),
        leases,
        membership: Membership::Stays,
    };
    leave.depart(endpoint, &mut links)?;
    links.remove()?;
    endpoint::leave(root, id, &network.name)?;
    match (namespace, container.spec.engine) {
        (Some(namespace), EngineKind::Native) => lead_out(root, container, namespace.as_fd()),
        _ => Ok(()),
    }
}

/// Makes another of a container's networks its way out if the one that was has gone.
fn lead_out(root: &Root, container: &Container, namespace: BorrowedFd<'_>) -> Result<()> {
    let mut networks = attach::memberships_in_order(root, &container.spec)?;
    networks.retain(|(network, endpoint)| !network.internal && endpoint.is_up());
    let Some((network, _)) = networks.first() else { return Ok(()) };
    let lead = || {
        let mut inside = bridge::inside(namespace)?;
        if !lacks_default(&mut inside)? {
            return Ok(());
        }
        let routes = route::list(&mut inside)?;
        for gateway in bridge::gateways(network) {
            let link = routes.iter().find(|r| r.destination == gateway.trunc());
            if let Some(index) = link.and_then(|r| r.link) {
                inside.execute(&[route::add_default(index, gateway.addr(), route::MAIN)])?;
            }
        }
        Ok(())
    };
    lead().map_err(|e| failed(Step::Address, &network.name, e))
}
