//! Containers: their records, the processes that own them, the engines that run them.
//!
//! From the ground up; nothing imports upwards: [`state`], [`volume`], [`net`], [`engine`], [`reconcile`],
//! [`monitor`], [`oneshot`], [`container`], [`reset`].

pub mod container;
pub mod engine;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod monitor;
pub mod net;
pub mod oneshot;
pub mod reconcile;
pub mod reset;
pub mod state;
pub mod sys;
pub mod volume;
