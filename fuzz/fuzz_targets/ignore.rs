//! Rules, a NUL byte, a path: decided without a panic, and a walk that skips folders loses nothing.

#![no_main]

use knarr_packager::dockerfile::ignore::Ignore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (rules, path) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"a/b/c.txt"[..]),
    };
    let path = String::from_utf8_lossy(path);
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | "." | "..")).collect();
    let path = names.join("/");
    let ignore = match Ignore::parse(rules, ".dockerignore") {
        Ok(ignore) => ignore,
        Err(error) => {
            assert!(error.to_string().contains("--> "));
            return;
        }
    };
    if path.is_empty() || ignore.is_ignored(&path) {
        return;
    }
    for (end, _) in path.match_indices('/') {
        let folder = &path[..end];
        assert!(!ignore.is_ignored(folder) || ignore.may_contain_exceptions(folder), "{folder}");
    }
});
