//! Archives that want to harm: refused, and nothing of them becomes an image.

use crate::support::images::{gzip, single, tar};
use crate::support::{Place, story};
use knarr_core::store::digest_of;
use knarr_packager::archive::{Error, SaveOptions, load, save};
use serde_json::json;

/// One entry of an archive, made without the checks of a well-meaning library.
fn entry(kind: tar::EntryType, path: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    let raw = header.as_old_mut();
    raw.name[..path.len()].copy_from_slice(path.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(tar::EntryType::Regular, path, "", content)
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    bytes
}

fn refused(archive: &[u8]) -> (Error, String) {
    let place = Place::new();
    let outside = place.directory.path().join("escaped");
    let error = load(&place.store, &mut &archive[..]).unwrap_err();
    assert!(place.is_empty() && !outside.exists());
    // nothing that is only half here stays either
    assert!(std::fs::read_dir(place.store.root().incoming()).unwrap().next().is_none());
    let text = story(&error);
    (error, text)
}

#[test]
fn ways_out_of_the_archive() {
    use tar::EntryType::{Block, Fifo, Link, Symlink};
    for entries in [
        file("../escaped", b"x"),
        file("a/../../escaped", b"x"),
        file("/etc/escaped", b"x"),
        entry(Symlink, "a/layer.tar", "../../escaped", b""),
        entry(Symlink, "layer.tar", "/etc/passwd", b""),
        entry(Link, "layer.tar", "../escaped", b""),
        entry(Block, "blobs/sha256/x", "", b""),
        entry(Fifo, "index.json", "", b""),
    ] {
        let (error, text) = refused(&archive(&[entries]));
        assert!(matches!(error, Error::Refused { .. }), "{text}");
    }
}

#[test]
fn links_in_a_circle() {
    let symlink = |from: &str, to: &str| entry(tar::EntryType::Symlink, from, to, b"");
    let manifest = br#"[{"Config": "a", "Layers": []}]"#;
    let entries = [symlink("a", "b"), symlink("b", "a"), file("manifest.json", manifest)];
    let (error, text) = refused(&archive(&entries));
    assert!(matches!(error, Error::Refused { .. }), "{text}");
}

#[test]
fn a_blob_under_a_wrong_digest() {
    let path = format!("blobs/sha256/{}", digest_of(b"right").digest());
    let (error, text) = refused(&archive(&[file(&path, b"wrong")]));
    assert!(matches!(error, Error::DigestMismatch { .. }), "{text}");
}

#[test]
fn endless_documents_and_endless_entries() {
    let large = vec![b' '; 5 << 20];
    let (error, text) = refused(&archive(&[file("index.json", &large)]));
    assert!(matches!(error, Error::TooLarge { .. }), "{text}");
    let many: Vec<_> = (0..601).map(|n| file(&format!("f{n}"), b"")).collect();
    let (error, text) = refused(&archive(&many));
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    let directory = |n| entry(tar::EntryType::Directory, &format!("d{n}/"), "", b"");
    let many: Vec<_> = (0..20_001).map(directory).collect();
    let (error, text) = refused(&gzip(&archive(&many)));
    assert!(matches!(error, Error::Refused { .. }), "{text}");
}

#[test]
fn truncated_anywhere() {
    let place = Place::new();
    let image = single(&place.store, "one:1");
    let mut whole = Vec::new();
    save(&place.store, &[image], &mut whole, &SaveOptions::default()).unwrap();
    for length in [100, 5000, 200_000, whole.len() - 4000] {
        let (error, text) = refused_but_blobs(&whole[..length]);
        assert!(
            matches!(error, Error::Read(_) | Error::NotAnArchive | Error::SizeMismatch { .. }),
            "{length}: {text}"
        );
    }
    let zipped = gzip(&whole);
    let (error, text) = refused_but_blobs(&zipped[..zipped.len() / 2]);
    assert!(matches!(error, Error::Read(_)), "{text}");
}

/// Blobs that were complete may stay for the collector.
fn refused_but_blobs(archive: &[u8]) -> (Error, String) {
    let place = Place::new();
    let error = load(&place.store, &mut &archive[..]).unwrap_err();
    assert!(place.is_empty());
    let text = story(&error);
    (error, text)
}

#[test]
fn no_archive_at_all() {
    for bytes in [&b""[..], b"hello", &[0; 4096], &tar(&[("etc/passwd", b"root")])] {
        let (error, text) = refused(bytes);
        assert!(matches!(error, Error::NotAnArchive), "{text}");
        assert!(text.contains("hint: make one with 'knarr save'"), "{text}");
    }
}

#[test]
fn what_is_named_must_be_there() {
    let digest = digest_of(b"nothing").to_string();
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 7}]});
    let index = serde_json::to_vec(&index).unwrap();
    let (error, text) = refused(&archive(&[file("index.json", &index)]));
    assert!(matches!(error, Error::Missing { .. }), "{text}");
    for (manifest, config) in [
        (
            r#"[{"Config": "c.json", "Layers": ["x.tar"]}]"#,
            r#"{"rootfs": {"type": "layers", "diff_ids": []}}"#,
        ),
        (
            r#"[{"Config": "c.json", "Layers": ["x.tar"]}]"#,
            r#"{"rootfs": {"type": "layers", "diff_ids": ["sha256:00"]}}"#,
        ),
        (r#"[{"Config": "gone.json", "Layers": []}]"#, "{}"),
        (r#"[{"Config": "c.json", "Layers": []}]"#, "no json"),
        ("[]", "{}"),
        ("{}", "{}"),
    ] {
        let entries =
            [file("manifest.json", manifest.as_bytes()), file("c.json", config.as_bytes())];
        let (error, text) = refused_but_blobs(&archive(&entries));
        assert!(
            matches!(
                error,
                Error::Missing { .. } | Error::LayerCount { .. } | Error::Malformed { .. }
            ),
            "{manifest} {config}: {text}"
        );
    }
}

#[test]
fn a_layer_that_is_another_than_its_image_says() {
    let layer = tar(&[("a", b"b")]);
    let config =
        json!({"rootfs": {"type": "layers", "diff_ids": [digest_of(b"other").to_string()]}});
    let entries = [
        file("l.tar", &layer),
        file("c.json", &serde_json::to_vec(&config).unwrap()),
        file("manifest.json", br#"[{"Config": "c.json", "Layers": ["l.tar"]}]"#),
    ];
    let (error, text) = refused_but_blobs(&archive(&entries));
    assert!(matches!(error, Error::DigestMismatch { .. }), "{text}");
}
