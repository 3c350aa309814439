//! Any bytes on the control socket of a monitor, in both directions.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| knarr_runtime::fuzz::control(data));
