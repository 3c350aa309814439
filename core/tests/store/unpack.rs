use crate::support::*;
use knarr_core::fsx;
use knarr_core::sys;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

fn read(tree: &Path, name: &str) -> Vec<u8> {
    fsx::read(&tree.join(name)).unwrap()
}

#[test]
fn every_compression_by_content_rather_than_by_name() {
    let tar = Tar::new().directory("d", 0o755).file("d/f", b"content").end();
    let diff_id = knarr_core::store::digest_of(&tar);
    let gz = gzip(&tar);
    let halves = [gzip(&tar[..512]), gzip(&tar[512..])].concat();
    let zst = zstd::encode_all(&tar[..], 3).unwrap();
    // a skippable frame first, as zstd:chunked and eStargz write it
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2][..], &zst].concat();
    for blob in [tar.clone(), gz, halves, zst, skippable] {
        for media_type in [TAR, GZIP, ZSTD, "application/vnd.docker.image.rootfs.diff.tar.gzip"] {
            let fixture = fixture();
            let layer = Layer { media_type, blob: blob.clone(), diff_id: diff_id.clone() };
            let trees = fixture.unpack(&[layer]).unwrap();
            assert_eq!(read(&trees[0], "d/f"), b"content");
        }
    }
}

#[test]
fn attributes_of_all_kinds() {
    let fixture = fixture();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tree = fixture
        .unpack_one(
            Tar::new()
                .entry(&Entry { kind: b'5', name: b"./", mode: 0o711, uid: 3, mtime: 77, ..ENTRY })
                .entry(&Entry { kind: b'5', name: b"d", mode: 0o1777, mtime: 5, ..ENTRY })
                .entry(&Entry {
                    name: b"d/su",
                    mode: 0o4755,
                    uid: 1000,
                    gid: 2000,
                    data: b"x",
                    ..ENTRY
                })
                .pax(&[("SCHILY.xattr.security.capability", &capability), ("mtime", b"12.5")])
                .entry(&Entry { name: b"ping", mode: 0o755, data: b"x", ..ENTRY })
                .pax(&[("SCHILY.xattr.user.note", b"a\0b"), ("uid", b"3000000")])
                .entry(&Entry { kind: b'5', name: b"noted", mode: 0o500, ..ENTRY })
                .entry(&Entry { kind: b'3', name: b"null", device: (1, 3), mode: 0o666, ..ENTRY })
                .entry(&Entry { kind: b'4', name: b"disk", device: (8, 300), ..ENTRY })
                .entry(&Entry { kind: b'6', name: b"pipe", mode: 0o622, ..ENTRY })
                .entry(&Entry {
                    kind: b'2',
                    name: b"link",
                    link: b"d/su",
                    uid: 7,
                    mtime: 9,
                    ..ENTRY
                })
                .hard_link("su2", "d/su")
                .end(),
        )
        .unwrap();
    let of = |name: &str| tree.join(name).symlink_metadata().unwrap();
    let root = of("");
    assert_eq!((root.mode() & 0o7777, root.uid(), root.mtime()), (0o711, 3, 77));
    assert_eq!((of("d").mode() & 0o7777, of("d").mtime()), (0o1777, 5));
    let su = of("d/su");
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid()), (0o4755, 1000, 2000));
    assert_eq!((of("ping").mtime(), of("ping").mtime_nsec()), (12, 500_000_000));
    let xattrs = |name: &str| sys::xattrs_of(&tree.join(name)).unwrap();
    assert_eq!(xattrs("ping"), [(b"security.capability".to_vec(), capability.to_vec())]);
    assert_eq!(xattrs("noted"), [(b"user.note".to_vec(), b"a\0b".to_vec())]);
    assert_eq!((of("noted").mode() & 0o7777, of("noted").uid()), (0o500, 3_000_000));
    assert!(of("null").file_type().is_char_device() && of("null").rdev() == 0x103);
    assert_eq!(of("null").mode() & 0o7777, 0o666);
    assert!(of("disk").file_type().is_block_device());
    assert!(of("pipe").file_type().is_fifo() && of("pipe").mode() & 0o7777 == 0o622);
    assert_eq!((of("link").uid(), of("link").mtime()), (7, 9));
    assert_eq!((of("su2").ino(), of("su2").nlink()), (su.ino(), 2));
}

#[test]
fn an_image_cannot_set_overlayfs_attributes() {
    let fixture = fixture();
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ])
        .directory("d", 0o755)
        .end();
    let tree = fixture.unpack_one(tar).unwrap();
    assert!(!sys::is_opaque(&tree.join("d")));
    let mut names = [0u8; 256];
    assert_eq!(rustix::fs::listxattr(tree.join("d"), &mut names[..]).unwrap(), 0);
}

#[test]
fn long_names_of_both_kinds() {
    let fixture = fixture();
    let part = "p".repeat(200);
    let gnu = format!("{part}/{}", "g".repeat(250));
    let pax = format!("{part}/{}", "é".repeat(120));
    let target = format!("{}/{}", "t".repeat(90), "u".repeat(90));
    let nul = |text: &str| [text.as_bytes(), b"\0"].concat();
    let tree = fixture
        .unpack_one(
            Tar::new()
                .entry(&Entry { kind: b'L', name: b"././@LongLink", data: &nul(&gnu), ..ENTRY })
                .entry(&Entry { name: &gnu.as_bytes()[..100], data: b"gnu", ..ENTRY })
                .pax(&[("path", pax.as_bytes())])
                .entry(&Entry { name: b"short", data: b"pax", ..ENTRY })
                .entry(&Entry { kind: b'K', name: b"././@LongLink", data: &nul(&target), ..ENTRY })
                .symlink("link", "short")
                .pax(&[("linkpath", gnu.as_bytes())])
                .hard_link("again", "short")
                .end(),
        )
        .unwrap();
    assert_eq!(read(&tree, &gnu), b"gnu");
    assert_eq!(read(&tree, &pax), b"pax");
    assert_eq!(read(&tree, "again"), b"gnu");
    assert_eq!(tree.join("link").read_link().unwrap().to_str().unwrap(), target);
}

#[test]
fn ustar_prefixes_old_directories_and_bytes_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = fixture();
    let mut prefixed = header(&Entry { name: b"file", ..ENTRY }, 1);
    prefixed[345..348].copy_from_slice(b"a/b");
    checksum(&mut prefixed);
    let tree = fixture
        .unpack_one(
            Tar::new()
                .entry(&Entry { kind: 0, name: b"a/", mode: 0o750, ..ENTRY })
                .raw(&prefixed, b"x")
                .entry(&Entry { name: b"caf\xe9", data: b"latin", ..ENTRY })
                .entry(&Entry { kind: b'g', name: b"global", data: b"16 comment=abcd\n", ..ENTRY })
                .entry(&Entry { kind: b'7', name: b"contiguous", data: b"y", ..ENTRY })
                .end(),
        )
        .unwrap();
    assert_eq!(tree.join("a").metadata().unwrap().mode() & 0o777, 0o750);
    assert_eq!(read(&tree, "a/b/file"), b"x");
    assert_eq!(read(&tree, "contiguous"), b"y");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    assert_eq!(fsx::read(&tree.join(name)).unwrap(), b"latin");
}

#[test]
fn later_entries_replace_earlier_ones() {
    let fixture = fixture();
    let tree = fixture
        .unpack_one(
            Tar::new()
                .file("a", b"first")
                .file("a", b"second")
                .directory("b", 0o755)
                .file("b/inner", b"")
                .file("b", b"a file now")
                .symlink("c", "b")
                .directory("c", 0o755)
                .file("c/inner", b"kept")
                .directory("c", 0o700)
                .symlink("a2", "a")
                .file("a2", b"not through the link")
                .end(),
        )
        .unwrap();
    assert_eq!(read(&tree, "a"), b"second");
    assert_eq!(read(&tree, "b"), b"a file now");
    assert_eq!(read(&tree, "c/inner"), b"kept");
    assert_eq!(tree.join("c").metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(read(&tree, "a2"), b"not through the link");
}

fn holes(path: &Path) -> (u64, u64) {
    let metadata = path.metadata().unwrap();
    (metadata.len(), metadata.blocks() * 512)
}

#[test]
fn old_gnu_sparse_files_stay_sparse() {
    let fixture = fixture();
    const SIZE: u64 = 10 << 30;
    let mut gnu = header(&Entry { kind: b'S', name: b"big", ..ENTRY }, 6 * 512);
    gnu[257..265].copy_from_slice(b"ustar  \0");
    let piece = |block: &mut [u8], at: usize, offset: u64, length: u64| {
        octal(&mut block[at..at + 12], offset);
        octal(&mut block[at + 12..at + 24], length);
    };
    for n in 0..4 {
        piece(&mut gnu, 386 + 24 * n, n as u64 * (1 << 30), 512);
    }
    gnu[482] = 1;
    // 10 GiB do not fit eleven octal digits' neighbour, but the size field takes base 256 as well
    gnu[483..495].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0x80, 0, 0, 0]);
    checksum(&mut gnu);
    let mut more = [0; 512];
    piece(&mut more, 0, 5 << 30, 512);
    piece(&mut more, 24, 6 << 30, 512);
    // GNU tar ends the map with an empty piece at the end of the file
    piece(&mut more, 48, 8_589_934_591, 0);
    let data: Vec<u8> = (1..=6u8).flat_map(|n| [n; 512]).collect();
    let mut tar = Tar::new().raw(&gnu, &[]).cut();
    tar.extend_from_slice(&more);
    tar.extend_from_slice(&data);
    tar.extend(Tar::new().file("after", b"x").end());
    let tree = fixture.unpack_one(tar).unwrap();
    let (size, used) = holes(&tree.join("big"));
    assert_eq!(size, SIZE);
    assert!(used < 1 << 20, "{used} bytes on disk");
    assert_eq!(at(&tree.join("big"), 3 << 30), [4; 4]);
    assert_eq!(at(&tree.join("big"), 6 << 30), [6; 4]);
    assert_eq!(read(&tree, "after"), b"x");
}

fn at(path: &Path, offset: u64) -> [u8; 4] {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 4];
    fsx::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

#[test]
fn pax_sparse_files_of_all_three_formats() {
    let fixture = fixture();
    let size = (10u64 << 30).to_string();
    let map_1_0 = format!("2\n0\n4\n{}\n4\n", 9u64 << 30);
    let mut data_1_0 = map_1_0.into_bytes();
    data_1_0.resize(512, 0);
    data_1_0.extend_from_slice(b"headtail");
    let tail = (9u64 << 30).to_string();
    let map_0_1 = format!("0,4,{tail},4");
    let tree = fixture
        .unpack_one(
            Tar::new()
                .pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"d/one"),
                    ("GNU.sparse.realsize", size.as_bytes()),
                ])
                .entry(&Entry { name: b"GNUSparseFile.1/one", data: &data_1_0, ..ENTRY })
                .pax(&[
                    ("GNU.sparse.name", b"d/two"),
                    ("GNU.sparse.size", size.as_bytes()),
                    ("GNU.sparse.map", map_0_1.as_bytes()),
                ])
                .entry(&Entry { name: b"GNUSparseFile.1/two", data: b"headtail", ..ENTRY })
                .pax(&[
                    ("GNU.sparse.size", size.as_bytes()),
                    ("GNU.sparse.offset", b"0"),
                    ("GNU.sparse.numbytes", b"4"),
                    ("GNU.sparse.offset", tail.as_bytes()),
                    ("GNU.sparse.numbytes", b"4"),
                ])
                .entry(&Entry { name: b"d/three", data: b"headtail", ..ENTRY })
                .end(),
        )
        .unwrap();
    for name in ["d/one", "d/two", "d/three"] {
        let (size, used) = holes(&tree.join(name));
        assert_eq!(size, 10 << 30, "{name}");
        assert!(used < 1 << 20, "{used} bytes on disk");
        assert_eq!(&at(&tree.join(name), 0), b"head");
        assert_eq!(&at(&tree.join(name), 9 << 30), b"tail");
    }
}

#[test]
fn a_sparse_file_that_docker_wrote_in_full_becomes_sparse_again() {
    let fixture = fixture();
    let mut data = vec![0; 8 << 20];
    data[4 << 20] = 1;
    let tar = Tar::new().file("lastlog", &data).file("zeros", &data[..4 << 20]).end();
    let tree = fixture.unpack_one(tar).unwrap();
    assert!(read(&tree, "lastlog") == data);
    assert!(read(&tree, "zeros") == data[..4 << 20]);
    assert!(holes(&tree.join("lastlog")).1 < 1 << 20);
}

#[test]
fn whiteouts_become_overlayfs_marks() {
    let fixture = fixture();
    let base = Tar::new().directory("d", 0o755).file("d/a", b"").file("gone", b"").end();
    let above = Tar::new()
        .directory("d", 0o755)
        .file("d/.wh..wh..opq", b"")
        .file("d/b", b"")
        .file(".wh.gone", b"")
        .file(".wh..wh.plnk", b"aufs's own")
        .directory("again", 0o755)
        .file("again/kept", b"")
        .file(".wh.again", b"")
        .file(".wh.late", b"")
        .directory("late", 0o755)
        .file(".wh.deep", b"")
        .file("deep/file", b"")
        .file("kept", b"x")
        .file(".wh.kept", b"")
        .end();
    let trees = fixture.unpack(&[plain(base), plain(above)]).unwrap();
    let top = &trees[1];
    let gone = top.join("gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(sys::is_opaque(&top.join("d")));
    assert!(!top.join("d/.wh..wh..opq").exists() && !top.join(".wh..wh.plnk").exists());
    // a removed directory that the same layer makes anew hides the old one
    for name in ["again", "late", "deep"] {
        assert!(sys::is_opaque(&top.join(name)), "{name}");
    }
    assert!(top.join("again/kept").exists() && top.join("deep/file").exists());
    assert_eq!(read(top, "kept"), b"x");
    assert!(!sys::is_opaque(&trees[0].join("d")));
}

#[test]
fn directories_left_out_are_as_the_layers_below_have_them() {
    let fixture = fixture();
    let base = Tar::new()
        .entry(&Entry { kind: b'5', name: b"tmp", mode: 0o1777, mtime: 42, ..ENTRY })
        .entry(&Entry { kind: b'5', name: b"home", uid: 9, mode: 0o700, ..ENTRY })
        .pax(&[("SCHILY.xattr.user.note", b"n")])
        .entry(&Entry { kind: b'5', name: b"home/me", uid: 10, mode: 0o750, ..ENTRY })
        .file("data", b"shared")
        .end();
    let middle = Tar::new().directory("home", 0o711).end();
    let top = Tar::new()
        .file("tmp/file", b"")
        .file("home/me/new/file", b"")
        .hard_link("link", "data")
        .end();
    let trees = fixture.unpack(&[plain(base), plain(middle), plain(top)]).unwrap();
    let of = |name: &str| trees[2].join(name).metadata().unwrap();
    assert_eq!((of("tmp").mode() & 0o7777, of("tmp").mtime()), (0o1777, 42));
    assert_eq!((of("home").mode() & 0o7777, of("home").uid()), (0o711, 0));
    assert_eq!((of("home/me").mode() & 0o7777, of("home/me").uid()), (0o750, 10));
    assert_eq!(of("home/me/new").mode() & 0o7777, 0o755);
    assert_eq!(sys::xattrs_of(&trees[2].join("home/me")).unwrap().len(), 1);
    assert_eq!(read(&trees[2], "link"), b"shared");
}

#[test]
fn an_opaque_root_hides_everything_below() {
    let fixture = fixture();
    let base = Tar::new().file("a", b"").directory("d", 0o755).end();
    let top = Tar::new().file(".wh..wh..opq", b"").directory("d", 0o755).file("new", b"").end();
    let trees = fixture.unpack(&[plain(base), plain(top)]).unwrap();
    let hidden = trees[1].join("a").symlink_metadata().unwrap();
    assert!(hidden.file_type().is_char_device());
    assert!(sys::is_opaque(&trees[1].join("d")));
    assert!(trees[1].join("new").exists());
}

#[test]
fn a_wasm_binary_as_a_layer() {
    let fixture = fixture();
    let module = b"\0asm\x01\0\0\0".to_vec();
    let digest = fixture.store.put(&module).unwrap();
    let artifact = |title: &str| {
        let config = fixture.json(
            "application/vnd.wasm.config.v0+json".into(),
            &serde_json::json!({"created": "2024-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
                "layerDigests": [digest.to_string()], "component": {"exports": [], "imports": []}}),
        );
        let mut layer = serde_json::json!({
            "mediaType": "application/wasm", "size": module.len(), "digest": digest.to_string(),
        });
        if !title.is_empty() {
            layer["annotations"] = serde_json::json!({"org.opencontainers.image.title": title});
        }
        fixture.manifest(config, vec![serde_json::from_value(layer).unwrap()])
    };
    for (title, name) in [
        ("app.wasm", "app.wasm"),
        ("", "module.wasm"),
        ("../../etc/passwd", "passwd.wasm"),
        (".wh.x", "module.wasm"),
        ("..", "module.wasm"),
        ("build/other", "other.wasm"),
    ] {
        let (manifest, config, _) = artifact(title);
        assert_eq!(config.config.entrypoint, Some(vec![format!("/{name}")]));
        assert_eq!(config.platform().to_string(), "wasip2/wasm");
        let chains = fixture.store.unpack(&manifest, &config).unwrap();
        let tree = fixture.store.layer_path(&chains[0]);
        assert_eq!(fsx::list(&tree).unwrap(), [name]);
        assert_eq!(read(&tree, name), module);
        assert_eq!(tree.join(name).metadata().unwrap().mode() & 0o777, 0o755);
    }
}

#[test]
fn a_wrong_diff_id_is_refused() {
    let fixture = fixture();
    let mut layer = plain(Tar::new().file("a", b"x").end());
    layer.diff_id = knarr_core::store::digest_of(b"something else");
    let error = fixture.unpack(&[layer]).unwrap_err();
    assert!(matches!(error, knarr_core::store::Error::DiffIdMismatch { .. }));
    assert!(fixture.layer_names().is_empty());
}

#[test]
fn what_follows_the_end_of_an_archive_counts() {
    let fixture = fixture();
    let tar = Tar::new().file("a", b"x").end();
    let padded = [&tar[..], &[0; 4096], b"trailing"].concat();
    let tree = fixture.unpack_one(padded.clone()).unwrap();
    assert_eq!(read(&tree, "a"), b"x");
    // an archive of no entries at all, and one of no bytes
    for empty in [Tar::new().end(), Vec::new()] {
        assert!(fixture.unpack_one(empty).is_ok());
    }
}
