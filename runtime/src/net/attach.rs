//! Connecting a container to its networks.

use super::announce::announce;
use super::bridge::{self, Plug};
use super::endpoint::{self, Endpoint};
use super::error::{Error, Result};
use super::firewall::{Firewall, Published};
use super::netlink::Socket;
use super::outbound::{self, Denials, Gate};
use super::ports::Held;
use super::step::{Observe, Progress, Step, failed};
use super::{lease, loopback, names, namespace, ports, reload, shared, store};
use crate::state::{self, Container, Placement};
use ipnet::IpNet;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec};
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode, Port};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// What a container was given.
#[derive(Default)]
pub struct Attached {
    /// Native: its own; Wasm: the one that the containers of its first network share; `None`: the host's network, or
    /// nothing but `lo`.
    pub namespace: Option<OwnedFd>,
    /// The first one has the default route, unless it is an internal network.
    pub endpoints: Vec<(NetworkSpec, Endpoint)>,
    /// The published ports with the host ports that were chosen.
    pub ports: Vec<Port>,
    /// Those ports on the host.
    pub reserved: Vec<Held>,
    /// Native: where the container asks for names, opened in its namespace.
    pub sockets: Option<names::Sockets>,
    /// Opens the way to addresses that `--allow-outbound` names turn out to have.
    pub learnt: Option<names::Learnt>,
    /// Native: tells what was refused of what `--allow-outbound` does not have.
    pub denials: Option<Denials>,
    /// Native: to be attached to the container's cgroup.
    pub gate: Option<Rc<Gate>>,
    /// Wasm: how the guest is on these networks.
    pub placement: Placement,
    /// Wasm: the guest's end of the channel on which it asks its monitor.
    pub channel: Option<OwnedFd>,
    /// Wasm: the guest's end of the channel on which it hears of changes.
    pub news: Option<OwnedFd>,
}

impl Attached {
    /// Whether packets are led to the published ports, rather than by the guest's own doing.
    pub fn has_bridges_only(&self) -> bool {
        self.endpoints.iter().all(|(network, _)| network.driver == Driver::Bridge)
    }
}

/// Gives a container its place on its networks. Undoes what it did when it fails.
///
/// For the container's monitor, before the engine starts and before it leaves the mount namespace of the host; it has a
/// single thread again when this returns.
pub fn attach(root: &Root, spec: &ContainerSpec, name: &str, observe: Observe) -> Result<Attached> {
    match &spec.network {
        NetworkMode::Host | NetworkMode::None => Ok(Attached::default()),
        NetworkMode::Container(other) => of_container(root, spec, other),
        NetworkMode::Networks(_) => {
            let attached = connect_all(root, spec, name, &mut Progress { observe });
            if attached.is_err() {
                // the cause matters more than what is left, which the next command finds
                let _ = super::detach(root, &spec.id);
            }
            attached
        }
    }
}

/// The networks that a container belongs to, those that it was created with first.
pub fn memberships_in_order(
    root: &Root,
    spec: &ContainerSpec,
) -> Result<Vec<(NetworkSpec, Endpoint)>> {
    let mut all = endpoint::memberships(root, &spec.id)?;
    if let NetworkMode::Networks(wishes) = &spec.network {
        let place = |network: &NetworkSpec| wishes.iter().position(|w| w.network == network.name);
        all.sort_by_key(|(network, _)| place(network).unwrap_or(usize::MAX));
    }
    Ok(all)
}

/// Another container with the number of its first process; `None` if it does not run.
pub fn running(root: &Root, other: &ContainerId) -> Result<Option<(Container, u32)>> {
    let Ok(container) = state::load(root, other) else { return Ok(None) };
    match container.state.pid.filter(|_| container.state.is_alive()) {
        Some(pid) if lease::is_alive(root, other)? => Ok(Some((container, pid))),
        _ => Ok(None),
    }
}

/// The place of another container, which runs.
fn of_container(root: &Root, spec: &ContainerSpec, other: &ContainerId) -> Result<Attached> {
    let not_running = || Error::OtherNotRunning { container: other.clone() };
    let (container, pid) = running(root, other)?.ok_or_else(not_running)?;
    let placement = container.state.placement;
    if placement != Placement::Alone && spec.engine == EngineKind::Native {
        // only what a Wasm guest has for sockets keeps its neighbours' addresses from it
        return Err(Error::OtherIsWasm { container: other.clone() });
    }
    // first: whoever finds the guest alive below is seen at its end
    fsx::write(&root.container(other).network_shared(), "").map_err(|_| not_running())?;
    let namespace = match &container.spec.network {
        NetworkMode::Host => None,
        _ => Some(namespace::of_process(pid).map_err(|_| not_running())?),
    };
    let endpoints = memberships_in_order(root, &container.spec)?;
    Ok(Attached { namespace, endpoints, placement, ..Attached::default() })
}

fn connect_all(
    root: &Root,
    spec: &ContainerSpec,
    name: &str,
    progress: &mut Progress,
) -> Result<Attached> {
    let mut memberships = memberships_in_order(root, spec)?;
    if let NetworkMode::Networks(wishes) = &spec.network {
        for wish in wishes {
            // one that was removed and made anew since
            if memberships.iter().all(|(network, _)| network.name != wish.network) {
                let network = store::find(root, &wish.network).map_err(|e| match e {
                    Error::NotFound { text } => {
                        Error::Removed { network: text, container: spec.id.clone() }
                    }
                    e => e,
                })?;
                if network.created > spec.created {
                    endpoint::join(root, &spec.id, name, wish)?;
                    memberships = memberships_in_order(root, spec)?;
                }
            }
        }
    }
    let for_wasm = memberships.iter().find(|(network, _)| network.driver == Driver::Loopback);
    if let (EngineKind::Native, Some((network, _))) = (spec.engine, for_wasm) {
        let network = network.name.clone();
        return Err(Error::Driver { network, container: spec.id.clone() });
    }
    let mut socket = Socket::route().map_err(|e| failed(Step::Bridge, "", e))?;
    let mut connecting = Connecting { root, spec, progress, socket: &mut socket };
    let mut attached = Attached::default();
    if spec.engine == EngineKind::Native {
        let first = memberships.first().map_or("", |(network, _)| network.name.as_str());
        let made = connecting.progress.step(Step::Namespace, first, namespace::make)?;
        attached.namespace = Some(made);
    }
    for (at, (network, endpoint)) in memberships.into_iter().enumerate() {
        let has_default = attached.endpoints.iter().all(|(n, _)| n.internal) && !network.internal;
        let place = Place { network: &network, at, has_default };
        let endpoint = connecting.connect(&place, endpoint, &mut attached.namespace)?;
        attached.endpoints.push((network, endpoint));
    }
    if spec.engine == EngineKind::Wasm {
        attached.placement = placement(&attached.endpoints);
        if attached.placement != Placement::Carried && attached.namespace.is_none() {
            // it has left all its networks: the host's is none of its
            attached.namespace =
                Some(connecting.progress.step(Step::Namespace, "", empty_namespace)?);
        }
    }
    if spec.engine == EngineKind::Native
        && let Some(namespace) = &attached.namespace
    {
        let open = || {
            if attached.endpoints.is_empty() {
                bridge::switch_on(&mut bridge::inside(namespace.as_fd())?)?;
            }
            namespace::within(namespace.as_fd(), names::Sockets::open)
        };
        let first = attached.endpoints.first().map_or("", |(network, _)| network.name.as_str());
        attached.sockets = Some(connecting.progress.step(Step::Names, first, open)?);
        if let Some(list) = &spec.outbound {
            let confine = || {
                let allowed = names::Allowed::new(list);
                let own = attached.endpoints.iter().flat_map(|(_, endpoint)| endpoint.addresses());
                let gate = Gate::new(&allowed, own).map(Rc::new);
                let denials = Denials::open(namespace.as_fd(), gate.clone())?;
                Ok((outbound::confine(namespace.as_fd(), allowed, gate.clone())?, denials, gate))
            };
            let (learnt, denials, gate) =
                connecting.progress.step(Step::Outbound, first, confine)?;
            (attached.learnt, attached.denials) = (Some(learnt), Some(denials));
            attached.gate = gate;
        }
    }
    connecting.publish(&mut attached)?;
    Ok(attached)
}

fn empty_namespace() -> io::Result<OwnedFd> {
    let namespace = namespace::make_for_guests()?;
    bridge::switch_on(&mut bridge::inside(namespace.as_fd())?)?;
    Ok(namespace)
}

/// How a Wasm guest is on its networks. Its loopback address is made of its address on the first one, in whose namespace it
/// lives: nobody else there has the same, since an address is kept for a guest until it ends.
fn placement(endpoints: &[(NetworkSpec, Endpoint)]) -> Placement {
    if endpoints.iter().any(|(network, _)| network.driver == Driver::Loopback) {
        return Placement::Carried;
    }
    let first = endpoints.first().and_then(|(_, endpoint)| endpoint.ipv4);
    Placement::Shared {
        loopback: first.map(loopback::source).filter(|ip| *ip != Ipv4Addr::LOCALHOST),
    }
}

/// Which network, and what it is to the container.
struct Place<'a> {
    network: &'a NetworkSpec,
    /// Its number among the container's.
    at: usize,
    has_default: bool,
}

struct Connecting<'a, 'p, 'o> {
    root: &'a Root,
    spec: &'a ContainerSpec,
    progress: &'p mut Progress<'o>,
    socket: &'p mut Socket,
}

impl Connecting<'_, '_, '_> {
    /// Everything for one network but its published ports.
    fn connect(
        &mut self,
        place: &Place,
        endpoint: Endpoint,
        namespace: &mut Option<OwnedFd>,
    ) -> Result<Endpoint> {
        let Self { root, spec, .. } = *self;
        let network = place.network;
        let name = &network.name;
        if network.driver == Driver::Loopback {
            return self.lease_on_loopback(network, endpoint);
        }
        let lock = Lock::exclusive_directory(root.network(name).data())?;
        let bridge = self
            .progress
            .step(Step::Bridge, name, || bridge::ensure(self.socket, root, network))?;
        (self.progress.observe)(Step::Rules).map_err(|e| failed(Step::Rules, name, e))?;
        reload::ensure(root)?;
        (self.progress.observe)(Step::Lease).map_err(|e| failed(Step::Lease, name, e))?;
        let mut endpoint = lease_all(root, network, endpoint)?;
        let addresses: Vec<IpAddr> = endpoint.addresses().collect();
        if spec.engine == EngineKind::Wasm && namespace.is_none() {
            (self.progress.observe)(Step::Namespace)
                .map_err(|e| failed(Step::Namespace, name, e))?;
            *namespace = Some(shared::ensure(self.socket, root, network, &bridge)?);
        }
        let Some(namespace) = namespace.as_ref().map(AsFd::as_fd) else { return Ok(endpoint) };
        let interface = match (spec.engine, place.at) {
            (EngineKind::Wasm, 0) => {
                self.progress.step(Step::Address, name, || shared::add(namespace, &addresses))?;
                shared::INTERFACE.to_owned()
            }
            (EngineKind::Wasm, _) => {
                self.progress.step(Step::Link, name, || {
                    shared::extend(self.socket, root, network, &bridge, namespace, &addresses)
                })?;
                shared::interface_of(network)
            }
            (EngineKind::Native, at) => {
                endpoint.mac = endpoint.mac_of_interface();
                let interface = format!("eth{at}");
                let plug = plug_of(spec, network, &endpoint, namespace, &interface);
                let (link, address) = (Step::Link, Step::Address);
                self.progress.step(link, name, || bridge::plug(self.socket, &bridge, &plug))?;
                let has_default = place.has_default;
                self.progress.step(address, name, || {
                    configure(network, &endpoint, namespace, &interface, has_default)
                })?;
                interface
            }
        };
        if endpoint.is_wished() {
            announce(namespace, &interface, &addresses);
        }
        drop(lock);
        Ok(endpoint)
    }

    /// The host's loopback carries what goes to and from the address: Wasm guests know how.
    fn lease_on_loopback(&mut self, network: &NetworkSpec, endpoint: Endpoint) -> Result<Endpoint> {
        let name = &network.name;
        (self.progress.observe)(Step::Lease).map_err(|e| failed(Step::Lease, name, e))?;
        let _lock = Lock::exclusive_directory(self.root.network(name).data())?;
        lease_all(self.root, network, endpoint)
    }

    /// The published ports lead to the container's place on its first network that is not internal.
    fn publish(&mut self, attached: &mut Attached) -> Result<()> {
        let Self { root, spec, .. } = *self;
        let publishing = attached.endpoints.iter().position(|(network, _)| leads_in(network));
        if let Some(at) = publishing
            && !spec.ports.is_empty()
        {
            let (network, endpoint) = &mut attached.endpoints[at];
            let (observe, name) = (&mut self.progress.observe, &network.name);
            observe(Step::Ports).map_err(|e| failed(Step::Ports, name, e))?;
            let reserved = ports::reserve(root, network, endpoint, &spec.ports)?;
            endpoint.ports = reserved.iter().map(|held| held.port.clone()).collect();
            attached.ports = endpoint.ports.clone();
            attached.reserved = reserved;
        }
        for (network, endpoint) in &attached.endpoints {
            self.progress.step(Step::Record, &network.name, || Ok(()))?;
            let _lock = Lock::exclusive_directory(root.network(&network.name).data())?;
            endpoint::write(root, &network.name, endpoint)?;
        }
        if let Some(at) = publishing
            && !attached.ports.is_empty()
        {
            let (network, endpoint) = &attached.endpoints[at];
            self.progress.step(Step::Publish, &network.name, || {
                let mut firewall = Firewall::open(bridge::mark(root))?;
                match firewall.add(&[], &published(endpoint)) {
                    // The ports are reserved for us: whoever has them in the table is dead.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                        reload::replace(root, &mut firewall).map_err(io::Error::other)?;
                        firewall.add(&[], &published(endpoint))
                    }
                    result => result,
                }
            })?;
        }
        Ok(())
    }
}

/// Whether ports can be published on a network.
pub(super) fn leads_in(network: &NetworkSpec) -> bool {
    !network.internal && network.driver == Driver::Bridge
}

pub(super) fn plug_of<'a>(
    spec: &ContainerSpec,
    network: &NetworkSpec,
    endpoint: &Endpoint,
    namespace: BorrowedFd<'a>,
    interface: &'a str,
) -> Plug<'a> {
    Plug {
        namespace,
        interface,
        host_name: bridge::link_of(network, &spec.id),
        mac: endpoint.mac.unwrap_or_default(),
    }
}

/// The addresses and routes of a native container's interface.
pub(super) fn configure(
    network: &NetworkSpec,
    endpoint: &Endpoint,
    namespace: BorrowedFd<'_>,
    interface: &str,
    has_default: bool,
) -> io::Result<()> {
    let mut inside = bridge::inside(namespace)?;
    let length = |address: &IpAddr| {
        let subnet = store::subnets(network).find(|s| s.contains(address))?;
        IpNet::new(*address, subnet.prefix_len()).ok()
    };
    // as long as the networks of such addresses are
    let link_local =
        |address: &IpAddr| IpNet::new(*address, if address.is_ipv4() { 16 } else { 64 }).ok();
    let mut addresses: Vec<IpNet> =
        endpoint.addresses().collect::<Vec<_>>().iter().filter_map(length).collect();
    addresses.extend(endpoint.link_local.iter().filter_map(link_local));
    let gateways: Vec<IpAddr> =
        bridge::gateways(network).map(|g| g.addr()).filter(|_| has_default).collect();
    bridge::configure(&mut inside, interface, &addresses, &[], &gateways)
}

/// Takes the addresses of one endpoint. The caller holds the network's lock.
pub(super) fn lease_all(
    root: &Root,
    network: &NetworkSpec,
    endpoint: Endpoint,
) -> Result<Endpoint> {
    let (name, id) = (&network.name, endpoint.container.clone());
    let mut endpoint = endpoint;
    if let Some(subnet) = &network.ipv4 {
        let (net, gateway) = (IpNet::V4(subnet.subnet), IpAddr::V4(subnet.gateway));
        let range = IpNet::V4(subnet.range.unwrap_or(subnet.subnet));
        let wish = endpoint.wished_ipv4.map(IpAddr::V4);
        let address = lease::obtain(root, name, (range, net, gateway), wish, &id)?;
        endpoint.ipv4 = if let IpAddr::V4(address) = address { Some(address) } else { None };
    }
    if let Some(subnet) = &network.ipv6 {
        let (net, gateway) = (IpNet::V6(subnet.subnet), IpAddr::V6(subnet.gateway));
        let range = IpNet::V6(subnet.range.unwrap_or(subnet.subnet));
        let wish = endpoint.wished_ipv6.map(IpAddr::V6);
        let address = lease::obtain(root, name, (range, net, gateway), wish, &id)?;
        endpoint.ipv6 = if let IpAddr::V6(address) = address { Some(address) } else { None };
    }
    Ok(endpoint)
}

/// The published ports of an endpoint, for each of its addresses.
pub(super) fn published(endpoint: &Endpoint) -> Vec<Published> {
    let of = |port: &Port| {
        let port = port.clone();
        endpoint.addresses().map(move |address| Published { port: port.clone(), address })
    };
    endpoint.ports.iter().flat_map(of).collect()
}
