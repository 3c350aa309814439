//! What differs between operating systems, and calls the kernel directly.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::*;
