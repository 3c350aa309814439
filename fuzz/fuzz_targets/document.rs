//! Any bytes as a manifest, an index or a configuration of an image: read, or refused with a reason.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| knarr_core::fuzz::document(data));
