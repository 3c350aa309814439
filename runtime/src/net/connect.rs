//! `network connect` and `disconnect`, of containers that run and of those that do not.

use super::attach::{self, Step, configure, failed, lease_all, plug_of};
use super::depart::{self, Links};
use super::error::{Error, Result};
use super::netlink::{Socket, route};
use super::{bridge, endpoint, namespace, reload, store};
use crate::state::Container;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::Driver;
use knarr_core::spec::{Attachment, EngineKind, NetworkMode};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Makes a container a member of a network, and gives it its place there at once if it runs.
///
/// The caller knows that the container is not just being started.
pub fn connect(root: &Root, container: &Container, wish: &Attachment) -> Result<()> {
    if !matches!(container.spec.network, NetworkMode::Networks(_)) {
        return Err(Error::NoOwnNetwork { container: container.id().clone() });
    }
    let id = container.id();
    if container.spec.engine == EngineKind::Wasm && container.state.is_alive() {
        return Err(Error::WasmRuns { container: id.clone() });
    }
    let network = store::find(root, &wish.network)?;
    endpoint::join(root, id, &container.state.name, wish)?;
    let Some(pid) = container.state.pid.filter(|_| container.state.is_alive()) else {
        return Ok(());
    };
    let connected = plug(root, container, &network.name, pid);
    if connected.is_err() {
        // as before; the cause matters more than what is left, which the next command finds
        let _ = disconnect(root, container, &network.name);
    }
    connected
}

fn plug(root: &Root, container: &Container, name: &str, pid: u32) -> Result<()> {
    let (spec, id) = (&container.spec, container.id());
    let network = store::find(root, name)?;
    if network.driver != Driver::Bridge {
        return Err(Error::Driver { network: network.name, container: id.clone() });
    }
    let _lock = Lock::exclusive_directory(root.network(name).data())?;
    let not_joined = || not_joined(name, id);
    let endpoint = endpoint::load(root, name, id)?.ok_or_else(not_joined)?;
    let namespace = namespace::of_process(pid)?;
    let namespace = namespace.as_fd();
    let at = |step| move |e| failed(step, name, e);
    let mut socket = Socket::route().map_err(at(Step::Bridge))?;
    let bridge = bridge::ensure(&mut socket, root, &network).map_err(at(Step::Bridge))?;
    reload::ensure(root)?;
    let mut endpoint = lease_all(root, &network, endpoint)?;
    let addresses: Vec<IpAddr> = endpoint.addresses().collect();
    endpoint.mac = addresses.first().map(|a| bridge::mac_of(*a));
    let mut inside = bridge::inside(namespace).map_err(at(Step::Link))?;
    let interface = bridge::free_interface(&mut inside).map_err(at(Step::Link))?;
    let plug = plug_of(spec, &network, &endpoint, namespace, &interface);
    bridge::plug(&mut socket, &bridge, &plug).map_err(at(Step::Link))?;
    let has_default = !network.internal && lacks_default(&mut inside).map_err(at(Step::Address))?;
    configure(&network, &endpoint, namespace, &interface, has_default)
        .map_err(at(Step::Address))?;
    endpoint::write(root, name, &endpoint)
}

fn not_joined(network: &str, id: &ContainerId) -> Error {
    Error::NotJoined { network: network.to_owned(), container: id.clone() }
}

fn lacks_default(inside: &mut Socket) -> io::Result<bool> {
    Ok(route::list(inside)?.iter().all(|route| route.destination.prefix_len() > 0))
}

/// Ends a container's membership, and takes its place on the network away if it runs.
pub fn disconnect(root: &Root, container: &Container, name: &str) -> Result<()> {
    let network = store::find(root, name)?;
    let id = container.id();
    let Some(endpoint) = endpoint::load(root, &network.name, id)? else {
        return Err(not_joined(&network.name, id));
    };
    let mut links = Links::default();
    depart::depart_from(root, &network, endpoint, &mut links)?;
    links.remove()?;
    endpoint::leave(root, id, &network.name)?;
    let pid = container.state.pid.filter(|_| container.state.is_alive());
    match (pid, container.spec.engine) {
        (Some(pid), EngineKind::Native) => {
            let namespace = namespace::of_process(pid)?;
            lead_out(root, container, namespace.as_fd())
        }
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
