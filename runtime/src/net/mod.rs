//! Networks: an address, names and published ports for every container.
//!
//! ```text
//! <data>/networks/<name>/network.json        written last at create, removed first at remove
//!                        endpoints/<id>.json a container that belongs to it; addresses while it runs
//!                        leases/<address>    created O_EXCL, holds the id of the container that has the address
//! <run>/n/<name>/namespace                   the namespace that the network's Wasm containers share, mounted
//! ```
//!
//! Locks: the networks' folder's while a network is made or removed, a network's own while its addresses are given out.
//! Whoever holds one never waits for a container's lock: clearing up after a dead monitor takes them the other way round.

mod address;
mod announce;
mod attach;
mod bridge;
mod connect;
mod default;
mod depart;
mod endpoint;
mod error;
mod firewall;
mod forward;
mod lease;
pub(crate) mod loopback;
mod members;
pub mod names;
mod namespace;
pub(crate) mod netlink;
mod outbound;
mod ports;
mod reload;
pub mod rootless;
mod shared;
mod space;
mod step;
mod store;
mod surroundings;
mod take_down;

pub use attach::memberships_in_order;
pub use attach::{Attached, attach, running};
pub use connect::{connect, disconnect};
pub use default::{Unrecorded, default_network, ensure_listed, unrecorded};
pub use depart::{Links, depart, detach};
pub use endpoint::{Endpoint, endpoints, join, keep, leave, leave_all, memberships, rename};
pub use error::{Error, Result};
pub use forward::Publication;
pub use members::Members;
pub(crate) use namespace::{is_same as is_same_namespace, of_process, within};
pub(crate) use outbound::Denials;
pub use outbound::is_limited as is_outbound_limited;
pub use reload::reload;
pub(crate) use shared::{is_loopback, loopback6};
pub use step::{Observe, Step};
pub use store::{
    NewNetwork, create, ensure_default, find, list, load, prune, removable, remove, unused,
};
pub(crate) use store::{event, subnets};
pub(crate) use surroundings::{Surroundings, channel, hear, places_of, tell};
pub(crate) use take_down::take_down;
