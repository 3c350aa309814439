//! Plain data and what is on disk: the words every other crate of Knarr uses.
//!
//! Nothing here prints, spawns a thread, or knows of wasmtime, tokio or registries.

pub mod compression;
pub mod contents;
pub mod duration;
pub mod events;
pub mod fsx;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod hint;
pub mod id;
pub mod image;
pub mod lock;
pub mod nil;
pub mod pattern;
pub mod record;
pub mod root;
pub mod signal;
pub mod spec;
pub mod store;
pub mod suggest;
pub mod sys;
pub mod undo;
