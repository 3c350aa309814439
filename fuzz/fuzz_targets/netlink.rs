//! Any bytes as an answer of the kernel to a question about links, routes and rules.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| knarr_runtime::fuzz::netlink(data));
