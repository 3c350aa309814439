//! The name of a registry, a NUL byte, and any bytes as a `registries.json`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let name = String::from_utf8_lossy(&data[..at]);
    knarr_packager::fuzz::registries(data.get(at + 1..).unwrap_or_default(), &name);
});
