//! Any datagram as a question to a container's name server, and as an answer of the server that it asks.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| knarr_runtime::fuzz::dns(data));
