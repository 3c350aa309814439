//! A registry that lies: a clear error, no image, the store as it was.

use crate::support::images::{app, bytes, layers, manifest, noise, single, tar};
use crate::support::registry::{Auth, Fault, Registry};
use crate::support::{Place, for_platform, options, story};
use knarr_core::image::{Descriptor, Reference};
use knarr_core::root::Root;
use knarr_core::store::{Image, Store, digest_of};
use knarr_packager::Silent;
use knarr_packager::registry::{Error, pull};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn with_single() -> (Registry, Place, Image, Reference) {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = single(&maker.store, "one");
    registry.hold(&maker.store, &image.descriptor, "one", "1");
    let reference = format!("{}/one:1", registry.host).parse().unwrap();
    (registry, maker, image, reference)
}

/// Pulls, expects failure, and checks that the store has neither image nor layer.
fn refused(reference: &Reference) -> (Error, String) {
    let place = Place::new();
    let error = pull(&place.store, reference, &options(), &place.config(), &Silent).unwrap_err();
    assert!(place.is_empty());
    let text = story(&error);
    assert!(text.contains("127.0.0.1:"), "names the registry: {text}");
    (error, text)
}

#[test]
fn a_blob_with_other_content() {
    let (registry, maker, image, reference) = with_single();
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    let mut lie = bytes(&maker.store, layer.digest());
    lie[100] ^= 1;
    registry.always(format!("/blobs/{}", layer.digest()), Fault::Body("x/y", lie));
    let place = Place::new();
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    let Error::DigestMismatch { expected, found, .. } = &error else { panic!("{error:?}") };
    assert!(expected == layer.digest() && found != layer.digest());
    assert!(place.is_empty() && !place.store.has(layer.digest()));
    // the lie is not the start of the next attempt
    assert!(std::fs::read_dir(place.store.root().incoming()).unwrap().next().is_none());
    registry.script(|_| None);
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
}

#[test]
fn a_blob_of_another_size() {
    let (registry, maker, image, reference) = with_single();
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    let truth = bytes(&maker.store, layer.digest());
    for lie in [truth[..truth.len() - 1].to_vec(), [&truth[..], b"x"].concat()] {
        registry.always(format!("/blobs/{}", layer.digest()), Fault::Body("x/y", lie));
        let (error, _) = refused(&reference);
        assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");
    }
}

#[test]
fn a_manifest_with_other_content() {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = app(&maker.store, "app");
    registry.hold(&maker.store, &image.descriptor, "app", "1");
    let reference = format!("{}/app:1", registry.host).parse().unwrap();
    let variants = maker.store.variants(&image).unwrap();
    let wasm = &variants.iter().find(|v| v.platform.is_wasm()).unwrap().manifest;
    let truth = bytes(&maker.store, wasm);
    let mut longer: Value = serde_json::from_slice(&truth).unwrap();
    longer["annotations"] = json!({"evil": "yes"});
    for lie in [serde_json::to_vec(&longer).unwrap(), truth[..99].to_vec(), Vec::new()] {
        registry.hold_manifest(&format!("app/{wasm}"), MANIFEST, &lie);
        let (error, _) = refused(&reference);
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    }
    // the right content under a wrong size in the index
    registry.hold_manifest(&format!("app/{wasm}"), MANIFEST, &truth);
    let mut index: Value = serde_json::from_slice(&bytes(&maker.store, image.id())).unwrap();
    index["manifests"][1]["size"] = json!(truth.len() + 1);
    let index = serde_json::to_vec(&index).unwrap();
    registry.hold_manifest("app/1", "application/vnd.oci.image.index.v1+json", &index);
    let (error, _) = refused(&reference);
    assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");
}

#[test]
fn no_manifest_at_all() {
    let registry = Registry::start();
    let reference = format!("{}/one:1", registry.host).parse().unwrap();
    let cut = br#"{"schemaVersion": 2, "config": {"#;
    for (media_type, body) in [
        ("text/html", &b"<html>captive portal</html>"[..]),
        (MANIFEST, cut),
        (MANIFEST, b""),
        ("application/json", b"{}"),
        ("application/json", b"[1]"),
        (MANIFEST, br#"{"schemaVersion": 2, "mediaType": "application/vnd.cncf.helm"}"#),
    ] {
        registry.hold_manifest("one/1", media_type, body);
        let (error, _) = refused(&reference);
        assert!(matches!(error, Error::NotAManifest { .. }), "{media_type}: {error:?}");
    }
}

#[test]
fn both_manifest_and_index() {
    // two readers would see two images under one digest (CVE-2021-41190)
    let (registry, maker, image, reference) = with_single();
    let mut both: Value = serde_json::from_slice(&bytes(&maker.store, image.id())).unwrap();
    both["manifests"] = json!([]);
    let both = serde_json::to_vec(&both).unwrap();
    registry.hold_manifest("one/1", MANIFEST, &both);
    let (error, _) = refused(&reference);
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
}

#[test]
fn a_manifest_that_does_not_end() {
    let registry = Registry::start();
    let mut large = br#"{"schemaVersion": 2, "annotations": {"a": ""#.to_vec();
    large.resize(5 << 20, b'x');
    registry.hold_manifest("one/1", MANIFEST, &large);
    let (error, _) = refused(&format!("{}/one:1", registry.host).parse().unwrap());
    assert!(matches!(error, Error::TooLarge { limit: 4_194_304, .. }), "{error:?}");
}

#[test]
fn schema_1_gets_a_hint() {
    let registry = Registry::start();
    let reference = format!("{}/old:1", registry.host).parse().unwrap();
    for media_type in
        ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"]
    {
        registry.hold_manifest("old/1", media_type, br#"{"schemaVersion": 1, "name": "old"}"#);
        let (error, text) = refused(&reference);
        assert!(matches!(error, Error::Schema1 { .. }), "{error:?}");
        assert!(text.contains("hint: push the image again"), "{text}");
    }
}

#[test]
fn foreign_urls_are_ignored() {
    let (registry, maker, image, reference) = with_single();
    let mut manifest: Value = serde_json::from_slice(&bytes(&maker.store, image.id())).unwrap();
    let evil = Registry::start();
    manifest["layers"][0]["urls"] = json!([format!("http://{}/evil", evil.host)]);
    registry.hold_manifest("one/1", MANIFEST, &serde_json::to_vec(&manifest).unwrap());
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    registry.always(format!("/blobs/{}", layer.digest()), Fault::Status(404, ""));
    let (error, _) = refused(&reference);
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(evil.log().is_empty());
}

#[test]
fn a_layer_with_another_diff_id() {
    let (registry, maker) = (Registry::start(), Place::new());
    let one = manifest(&maker.store, "linux/amd64", &[tar(&[("a", b"1")])]);
    let other = manifest(&maker.store, "linux/amd64", &[tar(&[("b", b"2")])]);
    // the configuration of one with the layer of the other
    let mut mixed: Value = serde_json::from_slice(&bytes(&maker.store, one.digest())).unwrap();
    let other: Value = serde_json::from_slice(&bytes(&maker.store, other.digest())).unwrap();
    mixed["layers"] = other["layers"].clone();
    let mixed = serde_json::to_vec(&mixed).unwrap();
    let size = mixed.len() as u64;
    let digest = maker.store.put(&mixed).unwrap();
    let descriptor = Descriptor::new(one.media_type().clone(), size, digest);
    registry.hold(&maker.store, &descriptor, "mixed", "1");
    let place = Place::new();
    let reference = format!("{}/mixed:1", registry.host).parse().unwrap();
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    let text = story(&error);
    assert!(
        text.contains("unpacks to") && text.contains("hint: the image is inconsistent"),
        "{text}"
    );
    assert!(place.store.images().unwrap().is_empty());
}

#[test]
fn a_redirect_gets_no_credentials() {
    let (registry, maker, image, reference) = with_single();
    registry.auth(Auth::AnonymousToken);
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    let storage = Registry::start();
    storage.hold_blob(&format!("cdn/{}", layer.digest()), &bytes(&maker.store, layer.digest()));
    let to = format!("http://{}/v2/cdn/blobs/{}", storage.host, layer.digest());
    registry.always(format!("/blobs/{}", layer.digest()), Fault::Redirect(to));
    let place = Place::new();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert_eq!(storage.log().len(), 1);
    assert_eq!(storage.log()[0].headers.get("authorization"), None);
}

#[test]
fn a_message_cannot_move_the_cursor() {
    let (registry, _maker, _, reference) = with_single();
    let message = r#"{"errors":[{"code":"DENIED","message":"\u001b[2Jgone"}]}"#;
    registry.always("/manifests/", Fault::Status(403, message));
    let (error, text) = refused(&reference);
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(text.contains("[2Jgone") && !text.contains('\u{1b}'));
}

#[test]
fn a_full_disk() {
    // a mount namespace of this thread's: nothing is left behind, whatever happens
    let result = std::thread::spawn(|| {
        use rustix::mount::{MountFlags, MountPropagationFlags};
        let flags = rustix::thread::UnshareFlags::NEWNS | rustix::thread::UnshareFlags::FS;
        // SAFETY: this thread was just made, and shares no assumption about its mounts
        unsafe { rustix::thread::unshare_unsafe(flags) }.unwrap();
        let propagation = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", propagation).unwrap();
        let directory = tempfile::tempdir().unwrap();
        rustix::mount::mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), c"size=2m")
            .unwrap();
        let store = Store::open(&Root::at(directory.path())).unwrap();

        let (registry, maker) = (Registry::start(), Place::new());
        let layer = tar(&[("large", &noise(1, 4 << 20))]);
        let descriptor = manifest(&maker.store, "linux/amd64", &[layer]);
        registry.hold(&maker.store, &descriptor, "large", "1");
        let reference = format!("{}/large:1", registry.host).parse().unwrap();
        let error =
            pull(&store, &reference, &for_platform("linux/amd64"), &maker.config(), &Silent);
        assert!(store.images().unwrap().is_empty());
        story(&error.unwrap_err())
    });
    let text = result.join().unwrap();
    assert!(text.contains("cannot write"), "{text}");
    assert!(text.contains("hint: free some disk space"), "{text}");
}

#[test]
fn digests_are_checked_before_they_are_believed() {
    // the header of a tag's manifest lies about its digest
    let (registry, _maker, image, reference) = with_single();
    let wrong = digest_of(b"something else");
    let lie = format!("{}/one@{wrong}", registry.host).parse().unwrap();
    registry.hold_manifest(
        &format!("one/{wrong}"),
        MANIFEST,
        b"{\"schemaVersion\":2,\"layers\":[]}",
    );
    let (error, _) = refused(&lie);
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert_ne!(image.id(), &wrong);
    let place = Place::new();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
}
