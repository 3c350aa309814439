//! What calls the kernel directly, for all parts of the runtime.

pub mod process;
pub mod resolve;
pub mod seccomp;
pub mod signal;
pub mod terminal;
pub mod tree;
