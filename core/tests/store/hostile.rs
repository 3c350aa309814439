//! Layers made to harm: every case checks that a file beside the store stays as it is.

use crate::support::*;
use knarr_core::fsx;
use knarr_core::store::UnpackError;
use std::path::{Path, PathBuf};

/// A directory of the "host" with a file in it, and its path as a tar archive would name it.
struct Host {
    fixture: Fixture,
    directory: PathBuf,
}

fn host() -> Host {
    let fixture = fixture();
    let directory = fixture.directory.path().join("host");
    fsx::create_dir(&directory).unwrap();
    fsx::write(&directory.join("secret"), b"untouched").unwrap();
    Host { fixture, directory }
}

impl Host {
    fn path(&self) -> &str {
        self.directory.to_str().unwrap()
    }

    fn assert_untouched(&self) {
        assert_eq!(fsx::list(&self.directory).unwrap(), ["secret"]);
        let secret = self.directory.join("secret");
        assert_eq!(fsx::read(&secret).unwrap(), b"untouched");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(secret.metadata().unwrap().nlink(), 1);
    }

    fn climb(&self) -> String {
        format!("{}{}", "../".repeat(40), self.path())
    }
}

#[test]
fn names_that_climb_out_are_refused() {
    let host = host();
    for name in [
        format!("{}/new", host.climb()),
        format!("a/{}/new", host.climb()),
        "..".to_owned(),
        "a/../../b".to_owned(),
        "/../x".to_owned(),
    ] {
        for kind in [b'0', b'2', b'5', b'6', b'3'] {
            let pax = [("path", name.as_bytes())];
            let entry = Entry { kind, name: b"x", link: b"y", ..ENTRY };
            let error = host.fixture.refused(Tar::new().pax(&pax).entry(&entry).end());
            assert!(matches!(error, UnpackError::Outside { .. }), "{name}: {error}");
        }
    }
    host.assert_untouched();
}

#[test]
fn the_root_itself_cannot_be_replaced() {
    let host = host();
    for name in ["/", "./", ".", "a/.."] {
        for kind in [b'2', b'1', b'6'] {
            let link = host.path().as_bytes();
            let entry =
                Entry { kind, name: name.as_bytes(), link: &link[..link.len().min(99)], ..ENTRY };
            host.fixture.refused(Tar::new().entry(&entry).end());
        }
    }
    host.assert_untouched();
}

#[test]
fn absolute_names_are_relative_to_the_root() {
    let host = host();
    let name = format!("{}/secret", host.path());
    let tree = host.fixture.unpack_one(Tar::new().file(&name, b"inside").end()).unwrap();
    assert_eq!(fsx::read(&tree.join(&name[1..])).unwrap(), b"inside");
    host.assert_untouched();
}

#[test]
fn nothing_is_written_through_symbolic_links_to_the_host() {
    let host = host();
    for target in [host.path().to_owned(), host.climb()] {
        let pax = [("linkpath", target.as_bytes())];
        let link = Entry { kind: b'2', name: b"link", ..ENTRY };
        let tree = host
            .fixture
            .unpack_one(
                Tar::new()
                    .pax(&pax)
                    .entry(&link)
                    .file("link/new", b"inside")
                    .file("link/secret", b"inside")
                    .directory("link/sub", 0o777)
                    .symlink("link/l", "x")
                    .file("link/.wh.other", b"")
                    .hard_link("link/h", "link/secret")
                    .end(),
            )
            .unwrap();
        // the link leads to a directory of that name inside the root
        let inside = tree.join(&host.path()[1..]);
        assert_eq!(fsx::read(&inside.join("secret")).unwrap(), b"inside");
        assert_eq!(tree.join("link").read_link().unwrap(), Path::new(&target));
        host.assert_untouched();
    }
}

#[test]
fn a_dangling_link_is_not_followed_by_the_file_that_replaces_it() {
    let host = host();
    let target = format!("{}/created", host.path());
    let pax = [("linkpath", target.as_bytes())];
    let link = Entry { kind: b'2', name: b"link", ..ENTRY };
    let tar = Tar::new().pax(&pax).entry(&link).file("link", b"inside").end();
    let tree = host.fixture.unpack_one(tar).unwrap();
    assert_eq!(fsx::read(&tree.join("link")).unwrap(), b"inside");
    host.assert_untouched();
}

#[test]
fn the_attributes_of_a_link_are_not_set_on_its_target() {
    let host = host();
    let target = format!("{}/secret", host.path());
    let before = std::fs::metadata(host.directory.join("secret")).unwrap();
    let tar = Tar::new()
        .pax(&[
            ("linkpath", target.as_bytes()),
            ("SCHILY.xattr.user.x", b"1"),
            ("SCHILY.xattr.trusted.x", b"1"),
        ])
        .entry(&Entry { kind: b'2', name: b"link", uid: 99, mode: 0o777, mtime: 1, ..ENTRY })
        .end();
    host.fixture.unpack_one(tar).unwrap();
    use std::os::unix::fs::MetadataExt;
    let after = std::fs::metadata(host.directory.join("secret")).unwrap();
    assert_eq!(
        (before.uid(), before.mode(), before.mtime()),
        (after.uid(), after.mode(), after.mtime())
    );
    assert!(knarr_core::sys::xattrs_of(&host.directory.join("secret")).unwrap().is_empty());
}

#[test]
fn a_directory_that_became_a_link_does_not_lead_out() {
    let host = host();
    let pax = [("linkpath", host.path().as_bytes())];
    // the directory's attributes are set last, when its name is a link
    let tar = Tar::new()
        .entry(&Entry { kind: b'5', name: b"d", mode: 0o700, mtime: 1, ..ENTRY })
        .file("d/file", b"")
        .pax(&pax)
        .entry(&Entry { kind: b'2', name: b"d", ..ENTRY })
        .end();
    let before = host.directory.metadata().unwrap().modified().unwrap();
    host.fixture.unpack_one(tar).unwrap();
    assert_eq!(host.directory.metadata().unwrap().modified().unwrap(), before);
    host.assert_untouched();
}

#[test]
fn hard_links_to_the_host_are_refused() {
    let host = host();
    let outside = format!("{}/secret", host.climb());
    let pax = [("linkpath", outside.as_bytes())];
    let link = Entry { kind: b'1', name: b"link", ..ENTRY };
    let error = host.fixture.refused(Tar::new().pax(&pax).entry(&link).end());
    assert!(matches!(error, UnpackError::LinkOutside { .. }), "{error}");

    // an absolute target is inside the root, where there is no such file
    let absolute = format!("{}/secret", host.path());
    let pax = [("linkpath", absolute.as_bytes())];
    let error = host.fixture.refused(Tar::new().pax(&pax).entry(&link).end());
    assert!(matches!(error, UnpackError::LinkToNothing { .. }), "{error}");

    // through a symbolic link to the host's directory, and to a link to the host's file
    let directory = [("linkpath", host.path().as_bytes())];
    let symlink = Entry { kind: b'2', name: b"dir", ..ENTRY };
    let tar = Tar::new().pax(&directory).entry(&symlink).hard_link("link", "dir/secret").end();
    let error = host.fixture.refused(tar);
    assert!(matches!(error, UnpackError::LinkToNothing { .. }), "{error}");
    let file = [("linkpath", absolute.as_bytes())];
    let tar = Tar::new().pax(&file).entry(&symlink).hard_link("link", "dir").end();
    let tree = host.fixture.unpack_one(tar).unwrap();
    assert!(tree.join("link").symlink_metadata().unwrap().is_symlink());
    host.assert_untouched();
}

#[test]
fn hard_links_to_the_host_by_way_of_lower_layers_are_refused() {
    let host = host();
    let pax = [("linkpath", host.path().as_bytes())];
    let base = Tar::new().pax(&pax).entry(&Entry { kind: b'2', name: b"dir", ..ENTRY }).end();
    let top = Tar::new().hard_link("link", "dir/secret").file("dir2/x", b"").end();
    let error = host.fixture.unpack(&[plain(base), plain(top)]).unwrap_err();
    let knarr_core::store::Error::Unpack { source, .. } = error else { panic!("{error}") };
    assert!(matches!(*source, UnpackError::LinkToNothing { .. }), "{source}");
    host.assert_untouched();
}

#[test]
fn whiteouts_of_nothing_that_can_be_named_are_refused() {
    let fixture = fixture();
    for name in ["d/.wh...", "d/.wh..", ".wh...", ".wh.."] {
        let base = plain(Tar::new().directory("d", 0o755).end());
        let error = fixture.unpack(&[base, plain(Tar::new().file(name, b"").end())]).unwrap_err();
        let knarr_core::store::Error::Unpack { source, .. } = error else { panic!("{error}") };
        assert!(matches!(*source, UnpackError::InvalidWhiteout { .. }), "{name}: {source}");
    }
    assert_eq!(fixture.layer_names().len(), 1, "the layer below");
}

#[test]
fn link_loops_and_files_as_directories_are_clear_errors() {
    let fixture = fixture();
    for tar in [
        Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"").end(),
        Tar::new().symlink("a", "a/b").file("a/x", b"").end(),
        Tar::new().symlink("a", "b/c").symlink("b", "a/d").file("a/x", b"").end(),
        Tar::new().file("a", b"").file("a/x", b"").end(),
        Tar::new().directory("d", 0o755).hard_link("h", "d").end(),
        Tar::new().pax(&[("path", "n".repeat(300).as_bytes())]).file("x", b"").end(),
        Tar::new().pax(&[("path", "n/".repeat(3000).as_bytes())]).file("x", b"").end(),
    ] {
        let error = fixture.refused(tar);
        assert!(matches!(error, UnpackError::Entry { .. }), "{error}");
    }
}

#[test]
fn deep_paths_do_not_exhaust_the_stack() {
    let fixture = fixture();
    let name = format!("{}x", "d/".repeat(1900));
    let tar = Tar::new().pax(&[("path", name.as_bytes())]).file("x", b"deep").end();
    let base = plain(Tar::new().file("a", b"").end());
    let trees = fixture.unpack(&[base, plain(tar)]).unwrap();
    assert_eq!(fsx::read(&trees[1].join(&name)).unwrap(), b"deep");
}

#[test]
fn damaged_archives_are_refused() {
    let fixture = fixture();
    let good = Tar::new().file("a", b"content").end();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    let mut negative = header(&Entry { name: b"a", ..ENTRY }, 0);
    negative[124..136].copy_from_slice(&[0xff; 12]);
    checksum(&mut negative);
    let sparse = |offsets: &str| {
        let pax = [("GNU.sparse.size", &b"10"[..]), ("GNU.sparse.map", offsets.as_bytes())];
        Tar::new().pax(&pax).file("s", b"abcd").end()
    };
    for tar in [
        good[..600].to_vec(),
        good[..300].to_vec(),
        good[..515].to_vec(),
        flipped,
        Tar::new().raw(&negative, b"").end(),
        sparse("0,4,2,4"),
        sparse("8,4"),
        sparse("0,2"),
        sparse("18446744073709551615,4"),
        sparse("0"),
        Tar::new().entry(&Entry { kind: b'x', data: b"99 path=a\n", ..ENTRY }).file("a", b"").end(),
        Tar::new().pax(&[("path", b"a\0b")]).file("a", b"").end(),
        b"\x00\x61\x73\x6d this is no archive, but longer than nothing".repeat(20),
    ] {
        let error = fixture.refused(tar);
        assert!(matches!(error, UnpackError::Damaged(_)), "{error}");
    }
    let unknown = Tar::new().entry(&Entry { kind: b'M', name: b"m", ..ENTRY }).end();
    assert!(matches!(fixture.refused(unknown), UnpackError::UnknownKind { .. }));
}

#[test]
fn extended_headers_are_limited() {
    let fixture = fixture();
    for kind in [b'x', b'L', b'K'] {
        // a gigabyte is promised; nothing of it is read
        let tar = Tar::new().raw(&header(&Entry { kind, name: b"x", ..ENTRY }, 1 << 30), b"").end();
        assert!(matches!(fixture.refused(tar), UnpackError::Damaged(_)));
    }
}

#[test]
fn broken_and_unknown_compression_is_refused() {
    let fixture = fixture();
    let tar = Tar::new().file("a", &[1; 100_000]).end();
    let gz = gzip(&tar);
    let zst = zstd::encode_all(&tar[..], 3).unwrap();
    for blob in [&gz[..gz.len() / 2], &zst[..zst.len() / 2]] {
        let error = fixture.refused(blob.to_vec());
        assert!(matches!(error, UnpackError::Read(_) | UnpackError::Damaged(_)), "{error}");
    }
    for start in [&b"BZh91AY&SY"[..], b"\xfd7zXZ\0"] {
        assert!(matches!(fixture.refused(start.to_vec()), UnpackError::Read(_)));
    }
}

#[test]
fn media_types_that_are_no_layer_are_refused() {
    let fixture = fixture();
    let mut layer = plain(Tar::new().file("a", b"").end());
    layer.media_type = "application/vnd.oci.image.layer.v1.tar+encrypted";
    let error = fixture.unpack(&[layer]).unwrap_err();
    assert!(error.to_string().contains("tar+encrypted"), "{error}");
}
