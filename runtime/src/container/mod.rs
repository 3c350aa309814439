//! What can be done with a container: one file for each verb.

pub mod attach;
pub mod commit;
pub mod connect;
pub mod copy;
pub mod create;
mod diff;
mod disk;
mod error;
pub mod events;
pub mod exec;
pub mod export;
pub mod health;
pub mod inspect;
pub mod kill;
pub mod list;
pub mod logs;
mod network;
pub mod options;
pub mod pause;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod restart;
pub mod run;
pub mod start;
pub mod stats;
pub mod stop;
mod top;
mod view;
mod volumes_from;
pub mod wait;

pub use connect::{connect, disconnect};
pub use create::create;
pub use diff::diff;
pub use error::Error;
pub use exec::{exec, exec_detached};
pub use export::export;
pub use health::{probe, wait_health};
pub use inspect::inspect;
pub use kill::kill;
pub use list::{list, usages};
pub use logs::logs;
pub use network::{links, network_mode, share_names};
pub use pause::{pause, unpause};
pub use remove::remove;
pub use rename::rename;
pub use restart::restart;
pub use start::start;
pub use stop::stop;
pub use top::{Processes, top};
pub use volumes_from::volumes_from;
pub use wait::wait;

use crate::state;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Finds a container by Docker's rules: a full id, an exact name, the start of an id.
pub fn find(store: &Store, text: &str) -> Result<ContainerId> {
    Ok(state::find(store.root(), text)?)
}
