//! The one process that owns a container's life: set-up, input and output, teardown.
//!
//! In the foreground the command itself is the monitor ([`run`]); otherwise it starts one in a session of its own
//! ([`spawn()`], [`entry`]) and talks to it over `control.sock` ([`client`]).
//!
//! A monitor has one thread and no asynchronous runtime: it waits in one `poll` for a handful of descriptors, and its
//! memory is what an idle container costs. It is no child subreaper: what a container leaves behind when its first
//! process ends is killed with its pid namespace, and a Wasm guest has no children.

mod attach;
pub mod client;
pub(crate) mod control;
mod error;
pub(crate) mod exec;
mod further;
mod guest;
mod health;
mod life;
pub(crate) mod log;
mod mounts;
mod networks;
mod ownership;
mod report;
mod restart;
mod server;
mod session;
mod sink;
mod spawn;
mod streams;
mod told;

pub use attach::{Attach, DetachKeys, End, InvalidKeys, attach};
pub use error::Error;
pub use exec::Execution;
pub(crate) use life::snapshot_of;
pub use life::{Start, Step, run, run_in_foreground};
pub use log::Stream;
pub(crate) use mounts::resolve as resolve_mounts;
pub use ownership::{goes_on, is_running, wait_for_end};
pub(crate) use report::in_one_line;
pub use report::{Failure, Kind};
pub use restart::Seat;
pub use spawn::{Spawn, entry, must_reexec, reexec, spawn, spawn_attached};
