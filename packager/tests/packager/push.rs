//! What a push uploads.

use crate::support::images::{app, bytes, layers, single};
use crate::support::registry::{Auth, Fault, Registry};
use crate::support::{Place, Recorder, options, story};
use knarr_core::image::{Platform, Reference};
use knarr_packager::registry::{Error, PushOptions, pull, push};
use knarr_packager::{LayerEvent, Silent};

fn whole() -> PushOptions {
    PushOptions::default()
}

fn only(platform: &str) -> PushOptions {
    PushOptions { platform: Some(platform.parse::<Platform>().unwrap()) }
}

#[test]
fn all_variants_manifests_last() {
    let (registry, place) = (Registry::start(), Place::new());
    let name = format!("{}/team/app:1", registry.host);
    let image = app(&place.store, &name);
    let reference: Reference = name.parse().unwrap();
    let pushed = push(&place.store, &reference, &whole(), &place.config(), &Silent).unwrap();
    assert_eq!(pushed.digest(), image.id());
    assert_eq!(registry.manifest("team/app/1").unwrap(), bytes(&place.store, image.id()));
    let log = registry.log();
    let first_manifest = log.iter().position(|r| r.path.contains("/manifests/")).unwrap();
    assert!(log[first_manifest..].iter().all(|r| r.path.contains("/manifests/")));
    assert!(log.last().unwrap().path.ends_with("/manifests/1"));
    assert_eq!(registry.count("PUT", "/blobs/"), 6);

    // and again: nothing moves but the manifests
    registry.clear();
    let recorder = Recorder::default();
    push(&place.store, &reference, &whole(), &place.config(), &recorder).unwrap();
    assert_eq!(registry.count("PUT", "/blobs/") + registry.count("POST", "/blobs/"), 0);
    let layer = &layers(&place.store, &image, "wasi/wasm")[0];
    assert_eq!(recorder.of(layer.digest()).last(), Some(&LayerEvent::Present));

    let other = Place::new();
    let pulled = pull(&other.store, &reference, &options(), &other.config(), &Silent).unwrap();
    assert_eq!(pulled.id(), image.id());
}

#[test]
fn one_variant_is_an_image_of_its_own() {
    let (registry, place) = (Registry::start(), Place::new());
    let name = format!("{}/app:1", registry.host);
    let image = app(&place.store, &name);
    let reference = name.parse().unwrap();
    let options = only("wasi/wasm");
    let pushed = push(&place.store, &reference, &options, &place.config(), &Silent).unwrap();
    let variants = place.store.variants(&image).unwrap();
    assert!(variants.iter().any(|v| v.manifest == *pushed.digest() && v.platform.is_wasm()));
    assert_eq!(registry.count("PUT", "/blobs/"), 2);
    let error = push(&place.store, &reference, &only("linux/arm64"), &place.config(), &Silent);
    assert!(matches!(error, Err(Error::NoVariant { .. })));
}

#[test]
fn blobs_of_a_neighbour_are_mounted() {
    let (registry, place) = (Registry::start(), Place::new());
    registry.auth(Auth::AnonymousToken);
    let old = format!("{}/base/os:1", registry.host);
    let image = single(&place.store, &old);
    push(&place.store, &old.parse().unwrap(), &whole(), &place.config(), &Silent).unwrap();
    registry.clear();
    let new: Reference = format!("{}/mine:1", registry.host).parse().unwrap();
    place.store.tag(&new, image.descriptor.clone()).unwrap();
    let recorder = Recorder::default();
    push(&place.store, &new, &whole(), &place.config(), &recorder).unwrap();
    assert_eq!(registry.count("PUT", "/blobs/"), 0);
    let layer = &layers(&place.store, &image, "linux/amd64")[0];
    assert!(registry.has_blob(&format!("mine/{}", layer.digest())));
    let mounted = LayerEvent::Mounted { from: "base/os".into() };
    assert_eq!(recorder.of(layer.digest()).last(), Some(&mounted));
    // which takes leave to read there
    let log = registry.log();
    let token = log.iter().find(|r| r.path.starts_with("/token")).unwrap();
    assert!(
        token
            .path
            .contains("scope=repository%3Amine%3Apull%2Cpush&scope=repository%3Abase%2Fos%3Apull"),
        "{}",
        token.path
    );
}

#[test]
fn broken_uploads_start_again() {
    let (registry, place) = (Registry::start(), Place::new());
    let name = format!("{}/app:1", registry.host);
    single(&place.store, &name);
    let failing = || Fault::Status(500, "");
    registry.fail("/blobs/uploads/", vec![failing(), Fault::Drop, failing()]);
    push(&place.store, &name.parse().unwrap(), &whole(), &place.config(), &Silent).unwrap();
    assert!(registry.manifest("app/1").is_some());

    registry.always("/blobs/uploads/", failing());
    let name = format!("{}/other:1", registry.host);
    single(&place.store, &name);
    let error = push(&place.store, &name.parse().unwrap(), &whole(), &place.config(), &Silent);
    assert!(registry.manifest("other/1").is_none());
    // the second would otherwise take the blobs of the first
    assert!(matches!(error, Err(Error::Status { status: 500, .. })), "{error:?}");
}

#[test]
fn an_upload_that_nobody_reads_is_a_timeout() {
    let (registry, place) = (Registry::start(), Place::new());
    let name = format!("{}/app:1", registry.host);
    single(&place.store, &name);
    registry.always("/blobs/uploads/1", Fault::Hang);
    let mut config = place.config();
    config.timing.connect = std::time::Duration::from_millis(100);
    let error = push(&place.store, &name.parse().unwrap(), &whole(), &config, &Silent).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[test]
fn what_is_not_here_must_be_there() {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = app(&maker.store, "app");
    registry.hold(&maker.store, &image.descriptor, "app", "1");
    let place = Place::new();
    let reference: Reference = format!("{}/app:1", registry.host).parse().unwrap();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    // the native variant was not pulled, but it is in that repository
    push(&place.store, &reference, &whole(), &place.config(), &Silent).unwrap();

    let elsewhere: Reference = format!("{}/elsewhere:1", registry.host).parse().unwrap();
    place.store.tag(&elsewhere, image.descriptor.clone()).unwrap();
    let error = push(&place.store, &elsewhere, &whole(), &place.config(), &Silent).unwrap_err();
    let text = story(&error);
    assert!(text.contains("its variant linux/amd64 is not in the store"), "{text}");
    assert!(text.contains("hint: run 'knarr pull --all-platforms"), "{text}");
    assert!(registry.manifest("elsewhere/1").is_none());
}

#[test]
fn no_such_image() {
    let place = Place::new();
    let reference = "127.0.0.1:1/nothing:1".parse().unwrap();
    let error = push(&place.store, &reference, &whole(), &place.config(), &Silent);
    assert!(matches!(error, Err(Error::Store { .. })), "{error:?}");
}
