//! Bombs, and disks that are full.

use crate::support::*;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::root::Root;
use knarr_core::store::{Error, Hasher, Store, UnpackError};
use knarr_core::sys;
use rustix::mount::{MountFlags, mount};
use std::io::Write;

/// An archive with a file of `size` zeros, compressed a thousand to one.
fn bomb(size: u64) -> Layer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut hasher = Hasher::sha256();
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        encoder.write_all(bytes).unwrap();
    };
    let mut header = header(&Entry { name: b"zeros", ..ENTRY }, 0);
    octal(&mut header[124..136], size);
    checksum(&mut header);
    write(&header);
    for _ in 0..size >> 20 {
        write(&[0; 1 << 20]);
    }
    write(&[0; 1024]);
    let diff_id = hasher.finish();
    Layer { media_type: GZIP, blob: encoder.finish().unwrap(), diff_id }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let fixture = fixture();
    let (manifest, config, _) = fixture.image(&[bomb(64 << 20)]);
    let store = fixture.store.clone().with_layer_limit(16 << 20);
    let error = store.unpack(&manifest, &config).unwrap_err();
    assert!(error.hint().is_some());
    let Error::Unpack { source, .. } = error else { panic!("{error}") };
    assert!(matches!(*source, UnpackError::TooLarge { limit } if limit == 16 << 20));
    assert!(fixture.layer_names().is_empty());
    // the same layer is fine without the limit
    fixture.store.unpack(&manifest, &config).unwrap();
}

/// Runs `test` with a store on a file system of `size` bytes, in memory, that only this thread sees.
fn on_small_disk(size: &str, test: impl FnOnce(Fixture, &std::path::Path)) {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fsx::create_dir(&disk).unwrap();
    sys::enter_mount_namespace().unwrap();
    let options = std::ffi::CString::new(format!("size={size}")).unwrap();
    mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), &*options).unwrap();
    let store = Store::open(&Root::at(disk.join("root"))).unwrap();
    test(Fixture { directory, store }, &disk);
}

#[test]
fn a_bomb_leaves_room_on_the_disk_without_a_limit() {
    on_small_disk("16m", |fixture, _| {
        let error = fixture.unpack(&[bomb(64 << 20)]).unwrap_err();
        let Error::Unpack { source, .. } = error else { panic!("{error}") };
        assert!(matches!(*source, UnpackError::TooLarge { .. }), "{source}");
        assert!(fixture.layer_names().is_empty());
    });
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_the_store_whole() {
    on_small_disk("8m", |fixture, disk| {
        let small = plain(Tar::new().file("a", b"fits").end());
        let (manifest, config, descriptor) = fixture.image(&[small]);
        fixture.store.tag(&"app".parse().unwrap(), descriptor).unwrap();
        let noise: Vec<u8> =
            (0..4u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let large = plain(Tar::new().file("b", &noise).end());
        let (large_manifest, large_config, _) = fixture.image(&[large]);
        // somebody else fills the disk while the layer is being unpacked: the limit did not see it
        fsx::write(&disk.join("ballast"), vec![1; 2 << 20]).unwrap();
        let store = fixture.store.clone().with_layer_limit(u64::MAX);
        let error = store.unpack(&large_manifest, &large_config).unwrap_err();
        assert!(error.hint().unwrap().contains("free some disk space"), "{error}");
        let Error::Unpack { source, .. } = error else { panic!("{error}") };
        assert!(matches!(*source, UnpackError::Entry { operation: "write", .. }), "{source}");
        assert!(fixture.layer_names().is_empty());
        assert_eq!(fixture.store.find("app").unwrap().display_name(), "app:latest");
        fixture.store.unpack(&manifest, &config).unwrap();

        // a blob that does not fit
        fsx::write(&disk.join("ballast2"), vec![1; 1 << 20]).unwrap();
        let digest = knarr_core::store::digest_of(&noise);
        let mut writer = fixture.store.writer(&digest, None).unwrap();
        let error = writer.write_all(&noise).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        drop(writer);
        assert!(!fixture.store.has(&digest));

        // a name that cannot be written: the old ones stay
        while fsx::write(&disk.join(format!("fill{}", sys::random_name())), vec![1; 4096]).is_ok() {
        }
        let image = fixture.store.find("app").unwrap();
        let error = fixture.store.tag(&"other".parse().unwrap(), image.descriptor).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(fixture.store.images().unwrap().len(), 1);
        let names = fsx::list(fixture.store.root().data()).unwrap();
        assert!(!names.iter().any(|name| name.starts_with(".tmp-")), "{names:?}");

        // and images can be removed to make room
        assert!(!fixture.store.remove("app", false, &|| Ok(Vec::new())).unwrap().is_empty());
        assert!(fixture.store.images().unwrap().is_empty());
    });
}

#[test]
fn a_million_entries_in_little_memory() {
    // a tenth of a million here: the cost is linear, and memory is what counts. Not on the machine's disk: ext4
    // searches long for inodes when other tests have just deleted theirs
    on_small_disk("1g", |fixture, _| many_entries(&fixture));
}

fn many_entries(fixture: &Fixture) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut hasher = Hasher::sha256();
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        encoder.write_all(bytes).unwrap();
    };
    for n in 0..100_000 {
        let name = format!("dir{:03}/file{n}", n / 1000);
        if n % 1000 == 0 {
            let name = format!("dir{:03}", n / 1000);
            write(&header(&Entry { kind: b'5', name: name.as_bytes(), mode: 0o755, ..ENTRY }, 0));
        }
        write(&header(&Entry { name: name.as_bytes(), ..ENTRY }, 0));
    }
    write(&[0; 1024]);
    let blob = encoder.finish().unwrap();
    let before = peak_memory();
    let layer = Layer { media_type: GZIP, blob, diff_id: hasher.finish() };
    let tree = fixture.unpack(&[layer]).unwrap().remove(0);
    assert!(tree.join("dir099/file99999").exists());
    let grown = peak_memory() - before;
    assert!(grown < 24 << 10, "{grown} KiB more");
}

/// VmHWM, in KiB.
fn peak_memory() -> u64 {
    let status = fsx::read_to_string(std::path::Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
