use crate::support::fixture;
use knarr_core::fsx;
use knarr_core::image::Digest;
use knarr_core::store::{Error, Hasher, Store, digest_of};
use std::io::Write;
use std::sync::mpsc;

#[test]
fn opening_an_existing_store_writes_nothing() {
    let fixture = fixture();
    let root = fixture.store.root().clone();
    assert_eq!(fsx::read(&root.oci_layout()).unwrap(), br#"{"imageLayoutVersion":"1.0.0"}"#);
    let before = root.data().metadata().unwrap().modified().unwrap();
    Store::open(&root).unwrap();
    assert_eq!(root.data().metadata().unwrap().modified().unwrap(), before);
}

#[test]
fn nobody_else_may_enter_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = fixture();
    let root = fixture.store.root();
    for directory in [root.data(), &root.layers()] {
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_blob_arrives_in_pieces_and_after_a_break() {
    let store = fixture();
    let store = &store.store;
    let content = vec![7u8; 300_000];
    let digest = digest_of(&content);
    let mut writer = store.writer(&digest, Some(300_000)).unwrap().resumable();
    writer.write_all(&content[..200_000]).unwrap();
    drop(writer);
    assert!(!store.has(&digest));

    let mut writer = store.writer(&digest, Some(300_000)).unwrap();
    assert_eq!(writer.offset(), 200_000);
    writer.write_all(&content[200_000..]).unwrap();
    writer.commit().unwrap();
    assert_eq!(fsx::read(&store.blob_path(&digest)).unwrap(), content);
    assert_eq!(fsx::list(&store.root().incoming()).unwrap(), Vec::<String>::new());

    let writer = store.writer(&digest, Some(300_000)).unwrap();
    assert!(writer.is_complete());
    writer.commit().unwrap();
}

#[test]
fn a_server_that_cannot_resume_sends_everything_again() {
    let fixture = fixture();
    let digest = digest_of(b"abcdef");
    let mut writer = fixture.store.writer(&digest, None).unwrap().resumable();
    writer.write_all(b"abc").unwrap();
    drop(writer);
    let mut writer = fixture.store.writer(&digest, None).unwrap();
    writer.restart().unwrap();
    writer.write_all(b"abcdef").unwrap();
    writer.commit().unwrap();
    assert!(fixture.store.has(&digest));
}

#[test]
fn wrong_content_never_gets_the_name() {
    let fixture = fixture();
    let digest = digest_of(b"right");
    let mut writer = fixture.store.writer(&digest, Some(5)).unwrap();
    writer.write_all(b"wrong").unwrap();
    assert!(matches!(writer.commit(), Err(Error::DigestMismatch { .. })));
    assert!(!fixture.store.has(&digest));
    assert_eq!(fixture.store.writer(&digest, Some(5)).unwrap().offset(), 0);
}

#[test]
fn content_of_another_length_is_refused() {
    let fixture = fixture();
    let digest = digest_of(b"right");
    let mut writer = fixture.store.writer(&digest, Some(5)).unwrap();
    assert!(writer.write_all(b"right and more").is_err());
    drop(writer);

    // what is right so far is kept for who can go on with it
    for kept in [0, 3] {
        let writer = fixture.store.writer(&digest, Some(5)).unwrap();
        let mut writer = if kept == 3 { writer.resumable() } else { writer };
        writer.write_all(b"rig").unwrap();
        let error = writer.commit().unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { expected: 5, found: 3, .. }));
        assert_eq!(fixture.store.writer(&digest, Some(5)).unwrap().offset(), kept);
    }
}

#[test]
fn a_second_writer_waits_and_finds_the_blob() {
    let fixture = fixture();
    let digest = digest_of(b"content");
    let mut first = fixture.store.writer(&digest, Some(7)).unwrap();
    let (sender, receiver) = mpsc::channel();
    let (store, wanted) = (fixture.store.clone(), digest.clone());
    let second = std::thread::spawn(move || {
        sender.send(()).unwrap();
        store.writer(&wanted, Some(7)).unwrap().is_complete()
    });
    receiver.recv().unwrap();
    first.write_all(b"content").unwrap();
    first.commit().unwrap();
    assert!(second.join().unwrap());
}

#[test]
fn sha512_is_verified_and_others_are_refused() {
    let fixture = fixture();
    let zeros: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    let mut hasher = Hasher::like(&zeros).unwrap();
    hasher.update(b"content");
    let digest = hasher.finish();
    let mut writer = fixture.store.writer(&digest, None).unwrap();
    writer.write_all(b"content").unwrap();
    writer.commit().unwrap();
    assert!(fixture.store.blob_path(&digest).to_str().unwrap().contains("blobs/sha512/"));
    let other: Digest = "blake3:00".parse().unwrap();
    assert!(matches!(fixture.store.writer(&other, None), Err(Error::UnsupportedAlgorithm { .. })));
}

#[test]
fn documents_are_verified_when_read() {
    let fixture = fixture();
    let digest = fixture.store.put(b"{}").unwrap();
    assert_eq!(fixture.store.read_manifest_bytes(&digest).unwrap(), b"{}");
    fsx::write(&fixture.store.blob_path(&digest), b"{ }").unwrap();
    assert!(matches!(
        fixture.store.read_manifest_bytes(&digest),
        Err(Error::DigestMismatch { .. })
    ));
    let large = fixture.store.put(&vec![b' '; (4 << 20) + 1]).unwrap();
    assert!(matches!(
        fixture.store.read_manifest_bytes(&large),
        Err(Error::DocumentTooLarge { .. })
    ));
    let missing = digest_of(b"missing");
    assert!(matches!(fixture.store.read_manifest_bytes(&missing), Err(Error::BlobMissing { .. })));
}
