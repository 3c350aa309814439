//! Any bytes as a layer, unpacked into an empty directory: nothing beside the directory changes.
//!
//! Checksums of headers are made right first, or nearly every input would end at its first block. Run it as an ordinary user
//! in a user namespace (`unshare -r`): what is unpacked may have any owner.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const BLOCK: usize = 512;
const LIMIT: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let outside = tempfile::Builder::new().prefix("fuzz-layer-").tempdir_in("/dev/shm").unwrap();
    let into = outside.path().join("into");
    fs::create_dir(&into).unwrap();
    fs::write(outside.path().join("witness"), "as it was").unwrap();
    symlink("into", outside.path().join("link")).unwrap();
    let before = seen(outside.path());
    let mut file = tempfile::tempfile_in("/dev/shm").unwrap();
    file.write_all(&with_checksums(data)).unwrap();
    file.rewind().unwrap();
    if let Ok(size) = knarr_core::store::unpack_archive(file, &into, Some(LIMIT)) {
        assert!(size <= LIMIT);
    }
    assert_eq!(seen(outside.path()), before);
    assert_eq!(fs::read(outside.path().join("witness")).unwrap(), b"as it was");
    open_all(&into);
});

/// Every block that says it is a header gets the checksum of one.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    for block in data.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    data
}

/// What lies beside the directory, with modes and owners.
fn seen(directory: &Path) -> Vec<(std::ffi::OsString, u32, u32, u64)> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != "into")
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (entry.file_name(), metadata.mode(), metadata.uid(), metadata.nlink())
        })
        .collect();
    found.sort();
    found
}

/// A directory without permissions could not be removed.
fn open_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_all(&entry.path());
        }
    }
    let _ = File::open(directory);
}
