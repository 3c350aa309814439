//! A name, a NUL byte, and any text as a `resolv.conf`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (name, file) = text.split_once('\0').unwrap_or(("db", text));
    knarr_runtime::fuzz::resolv_conf(file, name);
});
