//! What calls the kernel directly, for all parts of the runtime.

pub mod bpf;
pub mod holders;
pub mod interrupt;
pub mod mount;
pub mod own;
pub mod pack;
pub mod port;
pub mod process;
pub mod resolve;
pub mod seccomp;
pub mod signal;
pub mod terminal;
pub mod tmpfs;
pub mod tree;
pub mod unpack;
