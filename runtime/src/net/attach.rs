//! Connecting a container to its networks, and disconnecting it.

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::names;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode, Port};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

/// A step of connecting a container: what an error names, and where a test may make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make the network's bridge, with its gateway's address.
    Bridge,
    /// Put up the table of packet filter rules.
    Rules,
    /// Take an address.
    Lease,
    /// Make a network namespace.
    Namespace,
    /// Connect the namespace to the bridge.
    Link,
    /// Give the interface its addresses and routes.
    Address,
    /// Reserve the published ports on the host.
    Ports,
    /// Lead the published ports to the container.
    Publish,
    /// Open the resolver in the namespace.
    Resolver,
    /// Write down the endpoint.
    Record,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "make the bridge",
            Self::Rules => "put up the packet filter rules",
            Self::Lease => "take an address",
            Self::Namespace => "make a network namespace",
            Self::Link => "connect the container",
            Self::Address => "set the address",
            Self::Ports => "reserve the published ports",
            Self::Publish => "publish the ports",
            Self::Resolver => "open the resolver",
            Self::Record => "write down the container's place",
        })
    }
}

/// What a container was given.
#[derive(Default)]
pub struct Attached {
    /// Native: its own; Wasm: the one that the containers of its first network share; `None`: the host's network, or
    /// nothing but `lo`.
    pub namespace: Option<OwnedFd>,
    /// The first one has the default route.
    pub endpoints: Vec<(NetworkSpec, Endpoint)>,
    /// The published ports with the host ports that were chosen.
    pub ports: Vec<Port>,
    /// Hold those ports on the host.
    pub reserved: Vec<OwnedFd>,
    /// Native: where the container asks for names, opened in its namespace.
    pub sockets: Option<names::Sockets>,
    /// Opens the way to addresses that `--allow-outbound` names turn out to have.
    pub learnt: Option<names::Learnt>,
    /// Wasm: the guest's end of the channel on which it asks its monitor.
    pub channel: Option<OwnedFd>,
}

/// Called before each step; an error makes the step fail with it.
pub type Observe<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

/// Gives a container its place on its networks. Undoes what it did when it fails.
///
/// For the container's monitor, before the engine starts, while the process has a single thread.
pub fn attach(root: &Root, spec: &ContainerSpec, name: &str, observe: Observe) -> Result<Attached> {
    match &spec.network {
        NetworkMode::Host | NetworkMode::None => Ok(Attached::default()),
        NetworkMode::Networks(_) | NetworkMode::Container(_) => {
            let _ = (root, name);
            observe(Step::Bridge).map_err(|source| Error::Setup {
                step: Step::Bridge,
                network: String::new(),
                source,
            })?;
            Err(Error::Setup {
                step: Step::Bridge,
                network: String::new(),
                source: io::ErrorKind::Unsupported.into(),
            })
        }
    }
}

/// Takes back everything that a container was given. What is gone is taken back: for undoing, for the end of a
/// container, and for what a dead monitor left.
pub fn detach(root: &Root, id: &ContainerId) -> Result<()> {
    for (network, endpoint) in super::memberships(root, id)? {
        let _lock =
            knarr_core::lock::Lock::exclusive_directory(root.network(&network.name).data())?;
        super::lease::release_all(root, &network.name, id)?;
        super::loopback::forget(root, &network.name, id)?;
        if endpoint.is_up() {
            let down = Endpoint { ipv4: None, ipv6: None, mac: None, ..endpoint };
            super::endpoint::write(root, &network.name, &down)?;
        }
    }
    Ok(())
}
