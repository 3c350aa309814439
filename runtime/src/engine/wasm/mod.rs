//! The Wasm engine: wasmtime in a confined child process of the monitor.
//!
//! [`start`] forks the still single-threaded caller. The child builds the guest's view of the file system, finds
//! and loads the module compiled ahead of time, gives up every right it does not need ([`confine`]), and only then
//! lets the guest run. The parent waits for one typed message ([`message`]) that says whether the guest is ready.

mod cache;
mod cause;
mod compile;
mod config;
mod confine;
mod error;
mod files;
mod guest;
mod host;
mod kinds;
mod link;
mod load;
mod locate;
mod message;
mod network;
mod options;
mod origin;
mod run;
mod serve;
mod start;
mod stop;
mod terminal;
mod trap;

pub use cache::prune;
pub use cause::Cause;
pub use compile::precompile;
pub use error::Error;
pub use link::unlinkable::missing;
pub use load::{Loaded, Loading};
pub use message::{LastWords, Progress};
pub use options::check_options;
pub(crate) use serve::listen::listen;
pub use start::start;

/// Confines the calling thread as a guest's process is confined, so that a test can try what is refused.
#[doc(hidden)]
pub fn seccomp_for_tests(network: bool) -> Result<(), Error> {
    confine::filter(network)
}
