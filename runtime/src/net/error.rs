use super::step::Step;
use crate::sys::port;
use ipnet::IpNet;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::record;
use std::io;
use std::net::{IpAddr, SocketAddr};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a network, or a container's place on one, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no network {text:?}")]
    NotFound { text: String },
    #[error("{prefix:?} is the start of several network ids: {}", candidates.join(", "))]
    Ambiguous { prefix: String, candidates: Vec<String> },
    #[error("{name:?} is not a valid network name")]
    InvalidName { name: String },
    #[error("{alias:?} is not a name that a container could have on a network")]
    InvalidAlias { alias: String },
    #[error("{address} is not a link-local address")]
    NotLinkLocal { address: IpAddr },
    #[error("containers neither join nor leave the network {name}: they are made with it")]
    Fixed { name: String },
    #[error("container {} belongs to network {network}, which has been removed", container.short())]
    Removed { network: String, container: ContainerId },
    #[error("there is a network {name} already")]
    NameTaken { name: String },
    #[error("network {name} is used by {}", users.join(", "))]
    InUse { name: String, users: Vec<String> },
    #[error("a network has at most one subnet of each family, and {subnet} is one too many")]
    TooManySubnets { subnet: IpNet },
    #[error("{subnet} is too small for a network")]
    SubnetTooSmall { subnet: IpNet },
    #[error("{what} {address} lies in no subnet of the network")]
    OutsideSubnet { what: &'static str, address: String },
    #[error("{subnet} overlaps {other}, which {owner} uses")]
    Overlap { subnet: IpNet, other: IpNet, owner: String },
    #[error("no subnet is free for network {name}")]
    NoFreeSubnet { name: String },
    #[error("no address is free in {subnet} of network {network}")]
    NoFreeAddress { network: String, subnet: String },
    #[error("network {network} has no {family} addresses")]
    NoFamily { network: String, family: &'static str },
    #[error("{address} on network {network} is used by {owner}")]
    AddressTaken { network: String, address: IpAddr, owner: String },
    #[error("{address} cannot be given to a container: it is network {network}'s own")]
    AddressReserved { network: String, address: IpAddr },
    #[error("container {} is on network {network} already", container.short())]
    JoinedTwice { network: String, container: ContainerId },
    #[error("container {} is not on network {network}", container.short())]
    NotJoined { network: String, container: ContainerId },
    #[error("network {network} is for Wasm containers only")]
    OnlyWasm { network: String },
    #[error("{option}={value:?} is not a valid option of a network")]
    Option { option: String, value: String },
    #[error("cannot {step} on network {network}")]
    Setup { step: Step, network: String, source: io::Error },
    #[error("container {} is not running, and its network cannot be shared", container.short())]
    OtherNotRunning { container: ContainerId },
    #[error("container {} is a Wasm container, whose network no native one can share", container.short())]
    OtherIsWasm { container: ContainerId },
    #[error("container {} runs on networks of another driver than network {network}", container.short())]
    OtherDriver { network: String, container: ContainerId },
    #[error("container {} has no network of its own that could be connected to another", container.short())]
    NoOwnNetwork { container: ContainerId },
    #[error("network {network} is for Wasm containers only, and container {} is native", container.short())]
    Driver { network: String, container: ContainerId },
    #[error("port {port} of the host is used by {owner}")]
    PortTaken { port: String, owner: String },
    #[error("all of the host's ports {ports} are used")]
    RangeTaken { ports: String },
    #[error("port {port} of the host cannot be published")]
    Port { port: String, source: io::Error },
    #[error("this process may not make a bridge, which network {network} needs")]
    NotPermitted { network: String },
    #[error(transparent)]
    Rootless(#[from] super::rootless::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Rootless(e) => return e.hint(),
            Self::NotFound { .. } => "'knarr network ls' lists all networks".into(),
            Self::Ambiguous { .. } => "give more digits, or the network's name".into(),
            Self::InvalidName { .. } => {
                "begin with a letter or a digit, and go on with letters, digits, '_', '.' and '-'; \
                 'host' and 'none' have a meaning of their own"
                    .into()
            }
            Self::NotLinkLocal { .. } => "write one of 169.254.0.0/16 or of fe80::/10".into(),
            Self::InvalidAlias { .. } => "use letters, digits, '-' and '_', with dots between".into(),
            Self::NameTaken { name } => {
                format!("take another name, or remove that one: knarr network rm {name}")
            }
            Self::InUse { users, .. } => match users.as_slice() {
                [user] => format!("stop the container first: knarr stop {user}"),
                users => format!("stop the containers first: knarr stop {}", users.join(" ")),
            },
            Self::Fixed { name } => format!("make the container with it: knarr run --network {name}"),
            Self::Removed { network, .. } => format!(
                "make it again (knarr network create {network}), or remove the container and make it anew without it"
            ),
            Self::Overlap { .. } => "choose another one with --subnet".into(),
            Self::SubnetTooSmall { .. } => "use a prefix of 30 bits or fewer (IPv6: 126)".into(),
            Self::NoFreeSubnet { .. } => {
                "remove networks that are not used (knarr network prune), or give one with --subnet".into()
            }
            Self::NoFreeAddress { .. } => {
                "remove containers, or make a network with a larger --subnet".into()
            }
            Self::NoFamily { family: "IPv6", .. } => "make the network with --ipv6".into(),
            Self::NotPermitted { .. } => {
                "run it as the superuser with CAP_NET_ADMIN, or use the host's network (--network host), or, for Wasm \
                 containers, a network made with --driver loopback"
                    .into()
            }
            Self::Driver { .. } => {
                "use the host's network (--network host), a network with a bridge (network create --driver bridge), or the \
                 image's Wasm variant (--platform wasi/wasm)"
                    .into()
            }
            Self::OtherNotRunning { container } => {
                format!("start it first: knarr start {}", container.short())
            }
            Self::OtherIsWasm { .. } => "join its network instead: --network NAME".into(),
            Self::OtherDriver { .. } => {
                "'knarr network ls' shows the drivers; a running guest keeps to that of its first network".into()
            }
            Self::RangeTaken { .. } => "publish on a longer range, or on any free port: -p CONTAINER_PORT".into(),
            Self::PortTaken { .. } => return port::hint(0, Some(libc::EADDRINUSE)),
            Self::Port { port, source } => {
                let address = port.split('/').next()?.parse::<SocketAddr>().ok()?;
                return port::hint(address.port(), source.raw_os_error());
            }
            Self::Record(e) => return e.hint(),
            Self::File(e) => return e.hint(),
            _ => return None,
        };
        Some(text)
    }
}
