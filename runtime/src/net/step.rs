//! The steps of connecting a container: what goes wrong names one.

use super::error::{Error, Result};
use std::fmt;
use std::io;

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
    /// Shut the way out but for what `--allow-outbound` has.
    Outbound,
    /// Open the name server's sockets in the namespace.
    Names,
    /// Reserve the published ports on the host.
    Ports,
    /// Write down the endpoint.
    Record,
    /// Lead the published ports to the container.
    Publish,
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
            Self::Outbound => "restrict what the container reaches",
            Self::Names => "open the name server",
            Self::Ports => "reserve the published ports",
            Self::Record => "write down the container's place",
            Self::Publish => "publish the ports",
        })
    }
}

/// Called before each step; an error makes the step fail with it.
pub type Observe<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

/// The step at which something goes wrong, and the network.
pub struct Progress<'a> {
    pub observe: Observe<'a>,
}

impl Progress<'_> {
    pub fn step<T>(
        &mut self,
        step: Step,
        network: &str,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        (self.observe)(step).and_then(|()| act()).map_err(|source| failed(step, network, source))
    }
}

pub fn failed(step: Step, network: &str, source: io::Error) -> Error {
    let network = network.to_owned();
    match (source.kind(), step) {
        (
            io::ErrorKind::PermissionDenied,
            Step::Bridge | Step::Rules | Step::Namespace | Step::Link,
        ) => Error::NotPermitted { network },
        _ => Error::Setup { step, network, source },
    }
}
