//! What a pull fetches, and what it does when the way is bumpy.

use crate::support::images::{app, layers, single};
use crate::support::registry::{Fault, Registry};
use crate::support::{Place, Recorder, for_platform, options, story};
use knarr_core::image::Reference;
use knarr_core::store::Image;
use knarr_packager::registry::{Error, PullOptions, pull};
use knarr_packager::{LayerEvent, Silent};

/// A registry that has [`app`], and who made it.
fn with_app() -> (Registry, Place, Image, Reference) {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = app(&maker.store, "app");
    registry.hold(&maker.store, &image.descriptor, "team/app", "1");
    let reference = format!("{}/team/app:1", registry.host).parse().unwrap();
    (registry, maker, image, reference)
}

fn native() -> PullOptions {
    for_platform("linux/amd64")
}

#[test]
fn fetches_only_the_variant_that_would_run() {
    let (registry, maker, image, reference) = with_app();
    let place = Place::new();
    let recorder = Recorder::default();
    let pulled = pull(&place.store, &reference, &options(), &place.config(), &recorder).unwrap();
    assert_eq!(pulled.id(), image.id());
    // the Wasm variant: one layer, one configuration
    assert_eq!(registry.count("GET", "/blobs/"), 2);
    let variants = place.store.variants(&pulled).unwrap();
    let present = |p: &str| variants.iter().find(|v| v.platform.to_string() == p).unwrap().present;
    assert!(present("wasi/wasm") && !present("linux/amd64"));

    let layer = &layers(&maker.store, &image, "wasi/wasm")[0];
    let events = recorder.of(layer.digest());
    assert_eq!(events.first(), Some(&LayerEvent::Waiting));
    let done = LayerEvent::Downloading { done: layer.size(), total: layer.size() };
    assert!(events.contains(&done), "{events:?}");
    assert_eq!(events.last(), Some(&LayerEvent::Done));
    let lines = recorder.lines.lock().unwrap();
    assert!(lines[1].starts_with("Status: Downloaded newer image for 127.0.0.1:"), "{lines:?}");
}

#[test]
fn unpacks_what_it_pulled() {
    let (_registry, _maker, _, reference) = with_app();
    let place = Place::new();
    let image = pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
    let variants = place.store.variants(&image).unwrap();
    let variant = variants.iter().find(|v| !v.platform.is_wasm()).unwrap();
    let manifest = place.store.manifest(&variant.manifest).unwrap();
    let config = place.store.config(&manifest).unwrap();
    let unpacker = place.store.unpacker(&manifest, &config).unwrap();
    assert!((0..3).all(|layer| unpacker.is_present(layer)));
    let top = place.store.layer_path(unpacker.chains().last().unwrap());
    assert_eq!(std::fs::read(top.join("layer3")).unwrap().len(), 300_000);
}

#[test]
fn what_is_present_is_not_fetched_again() {
    let (registry, _maker, _, reference) = with_app();
    let place = Place::new();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    registry.clear();
    let recorder = Recorder::default();
    pull(&place.store, &reference, &options(), &place.config(), &recorder).unwrap();
    assert_eq!(registry.count("GET", "/manifests/1"), 1);
    assert_eq!(registry.log().len(), 1);
    assert!(recorder.lines.lock().unwrap()[1].contains("up to date"));
    // the other variant needs only its own
    pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
    assert_eq!(registry.count("GET", "/blobs/"), 4);
}

#[test]
fn every_variant_on_demand() {
    let (registry, _maker, image, reference) = with_app();
    let place = Place::new();
    let all = PullOptions { all_platforms: true, ..options() };
    pull(&place.store, &reference, &all, &place.config(), &Silent).unwrap();
    assert!(place.store.variants(&image).unwrap().iter().all(|v| v.present));
    assert_eq!(registry.count("GET", "/blobs/"), 6);
}

#[test]
fn a_single_manifest_and_a_reference_by_digest() {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = single(&maker.store, "one");
    registry.hold(&maker.store, &image.descriptor, "one", "x");
    let place = Place::new();
    let reference: Reference = format!("{}/one@{}", registry.host, image.id()).parse().unwrap();
    let pulled = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert_eq!(pulled.id(), image.id());
    assert_eq!(place.store.find(&reference.to_string()).unwrap().id(), image.id());
}

#[test]
fn a_platform_that_cannot_run_here_can_be_pulled() {
    let (_registry, _maker, _, reference) = with_app();
    let place = Place::new();
    let mut arm = native();
    arm.runnable.native = vec!["linux/riscv64".parse().unwrap()];
    pull(&place.store, &reference, &arm, &place.config(), &Silent).unwrap();
    let missing =
        pull(&place.store, &reference, &for_platform("linux/arm64"), &place.config(), &Silent);
    let text = story(&missing.unwrap_err());
    assert!(
        text.contains("the image has no linux/arm64 variant; it has linux/amd64, wasi/wasm"),
        "{text}"
    );
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (registry, maker, image, reference) = with_app();
    let layer = layers(&maker.store, &image, "linux/amd64")[1].clone();
    let blob = format!("/blobs/{}", layer.digest());
    registry.fail(&blob, vec![Fault::BreakAfter(100_000), Fault::BreakAfter(50_000)]);
    let place = Place::new();
    let recorder = Recorder::default();
    pull(&place.store, &reference, &native(), &place.config(), &recorder).unwrap();
    let ranges: Vec<_> = registry
        .log()
        .iter()
        .filter(|r| r.path.contains(&blob))
        .map(|r| r.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=150000-".into())]);
    assert!(recorder.of(layer.digest()).contains(&LayerEvent::Retrying { attempt: 2, of: 3 }));
}

#[test]
fn a_later_pull_goes_on_as_well() {
    let (registry, maker, image, reference) = with_app();
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    let blob = format!("/blobs/{}", layer.digest());
    let faults = vec![Fault::BreakAfter(100_000), Fault::Drop, Fault::Drop, Fault::Drop];
    registry.fail(&blob, faults);
    let place = Place::new();
    let error = pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    registry.clear();
    pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
    let log = registry.log();
    let again = log.iter().find(|r| r.path.contains(&blob)).unwrap();
    assert_eq!(again.headers["range"], "bytes=100000-");
}

#[test]
fn a_server_without_ranges_sends_it_all_again() {
    let (registry, maker, image, reference) = with_app();
    let layer = layers(&maker.store, &image, "linux/amd64")[2].clone();
    let faults = vec![Fault::BreakAfter(7), Fault::IgnoreRange];
    registry.fail(format!("/blobs/{}", layer.digest()), faults);
    let place = Place::new();
    pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
    assert!(place.store.has(layer.digest()));
}

#[test]
fn a_damaged_remainder_is_fetched_anew() {
    let (_registry, maker, image, reference) = with_app();
    let layer = layers(&maker.store, &image, "linux/amd64")[0].clone();
    let place = Place::new();
    let name = format!("{}.partial", layer.digest().digest());
    std::fs::write(place.store.root().incoming().join(name), [7; 5000]).unwrap();
    pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
}

#[test]
fn a_failing_server_is_asked_again_but_not_for_ever() {
    let (registry, _maker, _, reference) = with_app();
    let place = Place::new();
    let failing = || Fault::Status(503, "");
    registry.fail("/manifests/1", vec![failing(), failing()]);
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();

    registry.always("/manifests/1", failing());
    registry.clear();
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Status { status: 503, .. }), "{error:?}");
    assert_eq!(registry.log().len(), 3);
}

#[test]
fn what_is_not_there_is_asked_for_once() {
    let (registry, _maker, _, reference) = with_app();
    let place = Place::new();
    let reference = reference.with_tag("2").unwrap();
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let text = story(&error);
    assert!(text.contains("has no manifest 2 of 127.0.0.1:"), "{text}");
    assert!(text.contains("hint: check the name and the tag"), "{text}");
    assert_eq!(registry.log().len(), 1);
}

#[test]
fn nobody_listens() {
    let place = Place::new();
    // bound and closed: nobody gets this port soon
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reference = format!("127.0.0.1:{port}/x:1").parse().unwrap();
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    let text = story(&error);
    assert!(text.starts_with(&format!("cannot reach the registry 127.0.0.1:{port}")), "{text}");
}

#[test]
fn a_silent_registry_is_a_timeout() {
    let (registry, maker, image, reference) = with_app();
    let layer = layers(&maker.store, &image, "wasi/wasm")[0].clone();
    let blob = format!("/blobs/{}", layer.digest());
    for (part, fault) in [("/manifests/", Fault::Hang), (blob.as_str(), Fault::HangAfter(0))] {
        registry.always(part, fault);
        let place = Place::new();
        let mut config = place.config();
        config.timing.connect = std::time::Duration::from_millis(100);
        let error = pull(&place.store, &reference, &options(), &config, &Silent).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(place.is_empty());
    }
}

#[test]
fn one_failing_layer_ends_the_others() {
    let (registry, maker, image, reference) = with_app();
    let all = layers(&maker.store, &image, "linux/amd64");
    let (bad, slow) = (all[0].digest().to_string(), all[1].digest().to_string());
    registry.script(move |request| match &request.path {
        path if path.contains(&bad) => Some(Fault::Status(404, "")),
        path if path.contains(&slow) => Some(Fault::Hang),
        _ => None,
    });
    let place = Place::new();
    let mut config = place.config();
    config.timing.idle = std::time::Duration::from_secs(600);
    let error = pull(&place.store, &reference, &native(), &config, &Silent).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

#[test]
fn two_pulls_at_once_fetch_each_blob_once() {
    let (registry, _maker, _, reference) = with_app();
    let place = Place::new();
    let config = place.config();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                pull(&place.store, &reference, &native(), &config, &Silent).unwrap();
            });
        }
    });
    assert_eq!(registry.count("GET", "/blobs/"), 4);
}

#[test]
fn mirrors_are_asked_first_and_may_fail() {
    let (registry, maker, image, _) = with_app();
    let mirror = Registry::start();
    mirror.hold(&maker.store, &image.descriptor, "team/app", "1");
    let place = Place::new();
    let text = format!(r#"{{"mirrors": {{"{}": ["{}"]}}}}"#, registry.host, mirror.host);
    place.write("knarr/registries.json", &text);
    let reference: Reference = format!("{}/team/app:1", registry.host).parse().unwrap();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert!(registry.log().is_empty());

    mirror.always("", Fault::Status(404, ""));
    pull(&place.store, &reference, &native(), &place.config(), &Silent).unwrap();
    assert_eq!(registry.count("GET", "/blobs/"), 4);
}
