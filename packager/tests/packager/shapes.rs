//! Images of unusual shape: nested, repeated, wide, without what others have, with sizes that are not true.

use crate::support::images::{bytes, manifest, single, tar};
use crate::support::registry::Registry;
use crate::support::{Place, for_platform, options, story};
use knarr_core::image::{Descriptor, Digest, Platform, Reference};
use knarr_core::store::{Image, Store, digest_of};
use knarr_packager::Silent;
use knarr_packager::archive::{SaveOptions, load, save};
use knarr_packager::registry::{PushOptions, pull, push};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn put(store: &Store, media_type: &str, document: &Value) -> Descriptor {
    let bytes = serde_json::to_vec(document).unwrap();
    let digest = store.put(&bytes).unwrap();
    Descriptor::new(media_type.into(), bytes.len() as u64, digest)
}

fn index(store: &Store, entries: &[Value]) -> Descriptor {
    let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    put(store, INDEX, &document)
}

/// An entry as an index has it, with this platform.
fn entry(descriptor: &Descriptor, platform: Value) -> Value {
    let mut entry = serde_json::to_value(descriptor).unwrap();
    entry.as_object_mut().unwrap().remove("platform");
    if !platform.is_null() {
        entry["platform"] = platform;
    }
    entry
}

fn named(store: &Store, name: &str, descriptor: &Descriptor) -> Image {
    let reference: Reference = name.parse().unwrap();
    store.tag(&reference, descriptor.clone()).unwrap();
    Image { reference: Some(reference), descriptor: descriptor.clone() }
}

/// A registry that holds everything of a store, under `x:1` what is named here.
fn serve(store: &Store, top: &Descriptor) -> (Registry, Reference) {
    let registry = Registry::start();
    let folder = store.root().blobs();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let content = std::fs::read(file.path()).unwrap();
        let digest = format!("sha256:{}", file.file_name().to_str().unwrap());
        registry.hold_blob(&format!("x/{digest}"), &content);
        let parsed: Option<Value> = serde_json::from_slice(&content).ok();
        let media_type = parsed.as_ref().and_then(|v| v["mediaType"].as_str()).unwrap_or(MANIFEST);
        registry.hold_manifest(&format!("x/{digest}"), media_type, &content);
    }
    let content = bytes(store, top.digest());
    registry.hold_manifest("x/1", top.media_type().as_ref(), &content);
    let reference = format!("{}/x:1", registry.host).parse().unwrap();
    (registry, reference)
}

#[test]
fn equal_entries_are_visited_once() {
    let maker = Place::new();
    let store = &maker.store;
    let native = manifest(store, "linux/amd64", &[tar(&[("hello", b"x")])]);
    let mut level = entry(&native, json!({"os": "linux", "architecture": "amd64"}));
    for _ in 0..3 {
        level = entry(&index(store, &vec![level; 1000]), Value::Null);
    }
    let top = index(store, &[level]);
    let image = named(store, "wide:1", &top);
    assert_eq!(store.variants(&image).unwrap().len(), 1);
    let mut archive = Vec::new();
    save(store, &[image], &mut archive, &SaveOptions::default()).unwrap();
    let other = Place::new();
    assert_eq!(load(&other.store, &mut &archive[..]).unwrap().len(), 1);
    let (registry, reference) = serve(store, &top);
    let pulled = pull(&other.store, &reference, &options(), &other.config(), &Silent).unwrap();
    assert_eq!(pulled.id(), top.digest());
    // the top, three indexes and one manifest
    assert_eq!(registry.count("GET", "/manifests/"), 5 - 4, "the rest came with the archive");
    let target: Reference = format!("{}/y:1", registry.host).parse().unwrap();
    other.store.tag(&target, pulled.descriptor).unwrap();
    push(&other.store, &target, &PushOptions::default(), &other.config(), &Silent).unwrap();
    assert_eq!(registry.count("PUT", "/manifests/"), 5);
    other.store.collect(&|| Ok(Vec::new())).unwrap();
    assert!(other.store.variants(&other.store.find("wide:1").unwrap()).unwrap()[0].present);
}

#[test]
fn what_has_too_many_entries_is_refused() {
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let different = |n: usize| {
        let digest = digest_of(n.to_string().as_bytes());
        json!({"mediaType": MANIFEST, "size": 7, "digest": digest.to_string(), "platform": platform})
    };
    let wide = |store: &Store| index(store, &(0..5000).map(different).collect::<Vec<_>>());
    let deep = |store: &Store| {
        let mut deep = different(0);
        for _ in 0..7 {
            deep = entry(&index(store, &[deep]), Value::Null);
        }
        index(store, &[deep])
    };
    type Make<'a> = &'a dyn Fn(&Store) -> Descriptor;
    let cases: [(Make<'_>, &str); 2] =
        [(&wide, "more than 4096"), (&deep, "nested more than 4 deep")];
    for (make, expected) in cases {
        let maker = Place::new();
        let store = &maker.store;
        let top = make(store);
        let (_registry, reference) = serve(store, &top);
        let place = Place::new();
        let error = pull(&place.store, &reference, &options(), &place.config(), &Silent);
        assert!(story(&error.unwrap_err()).contains(expected));
        let image = named(store, "large:1", &top);
        assert!(story(&store.variants(&image).unwrap_err()).contains(expected));
        assert!(store.remove("large:1", false, &|| Ok(Vec::new())).is_ok(), "it can be removed");
    }
}

/// A manifest whose configuration is this, with one layer.
fn with_config(store: &Store, mut config: Value, file: &str) -> Descriptor {
    let layer = tar(&[("hello", file.as_bytes())]);
    let digest = store.put(&layer).unwrap();
    config["rootfs"] = json!({"type": "layers", "diff_ids": [digest.to_string()]});
    let config = put(store, CONFIG, &config);
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest.to_string(), "size": layer.len()
    });
    let document =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    put(store, MANIFEST, &document)
}

#[test]
fn a_platform_may_be_empty_or_absent_anywhere() {
    let host = Platform::host();
    let runnable = || {
        let mut options = options();
        options.runnable.native = vec![host.clone()];
        options
    };
    let configs = [
        json!({}),
        json!({"os": "", "architecture": ""}),
        json!({"os": null, "architecture": null, "variant": null, "created": null, "history": null, "config": null}),
        json!({"os": "linux"}),
        json!({"architecture": host.architecture, "config": {"Env": null, "Labels": {"a": null}}}),
    ];
    for config in configs {
        for platform in [
            Value::Null,
            json!({}),
            json!({"os": "", "architecture": ""}),
            json!({"os": "linux"}),
            json!({"architecture": host.architecture, "variant": null}),
        ] {
            let maker = Place::new();
            let child = with_config(&maker.store, config.clone(), "x");
            for top in [child.clone(), index(&maker.store, &[entry(&child, platform.clone())])] {
                let (_registry, reference) = serve(&maker.store, &top);
                let place = Place::new();
                let image =
                    pull(&place.store, &reference, &runnable(), &place.config(), &Silent).unwrap();
                let variants = place.store.variants(&image).unwrap();
                assert!(variants[0].present && variants[0].platform.satisfies(&host), "{config}");
                let mut asked = runnable();
                asked.platform = Some(host.clone());
                pull(&place.store, &reference, &asked, &place.config(), &Silent).unwrap();
                let mut archive = Vec::new();
                save(&place.store, &[image], &mut archive, &SaveOptions::default()).unwrap();
                let loaded = load(&Place::new().store, &mut &archive[..]).unwrap();
                assert_eq!(loaded.len(), 1);
            }
        }
    }
}

#[test]
fn an_entry_that_names_its_platform_goes_before_one_that_does_not() {
    let maker = Place::new();
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let nameless = with_config(&maker.store, platform.clone(), "nameless");
    let named = with_config(&maker.store, platform.clone(), "named");
    let entries = [entry(&nameless, Value::Null), entry(&named, platform)];
    let top = index(&maker.store, &entries);
    let (_registry, reference) = serve(&maker.store, &top);
    for options in [options(), for_platform("linux/amd64")] {
        let place = Place::new();
        pull(&place.store, &reference, &options, &place.config(), &Silent).unwrap();
        let complete = |digest: &Digest| {
            let manifest = place.store.manifest(digest).ok();
            manifest.is_some_and(|manifest| place.store.is_complete(&manifest))
        };
        assert!(complete(named.digest()) && !complete(nameless.digest()));
    }
    // alone it is taken for what its configuration says
    let alone = index(&maker.store, &[entry(&nameless, Value::Null)]);
    let (_registry, reference) = serve(&maker.store, &alone);
    let place = Place::new();
    pull(&place.store, &reference, &for_platform("linux/amd64"), &place.config(), &Silent).unwrap();
}

#[test]
fn older_variants_of_arm_stand_in() {
    let maker = Place::new();
    let of = |variant: &str| {
        let platform = json!({"os": "linux", "architecture": "arm", "variant": variant});
        let child = with_config(&maker.store, platform.clone(), variant);
        (child.digest().clone(), entry(&child, platform))
    };
    let (v5, v6, v7) = (of("v5"), of("v6"), of("v7"));
    let pulled = |entries: &[&(Digest, Value)], platform: &str| {
        let entries: Vec<Value> = entries.iter().map(|(_, entry)| entry.clone()).collect();
        let (_registry, reference) = serve(&maker.store, &index(&maker.store, &entries));
        let place = Place::new();
        pull(&place.store, &reference, &for_platform(platform), &place.config(), &Silent).ok()?;
        [&v5, &v6, &v7].into_iter().map(|v| v.0.clone()).find(|digest| place.store.has(digest))
    };
    assert_eq!(pulled(&[&v5, &v6], "linux/arm/v7"), Some(v6.0.clone()));
    assert_eq!(pulled(&[&v6, &v5], "linux/arm"), Some(v6.0.clone()));
    assert_eq!(pulled(&[&v5, &v7, &v6], "linux/arm/v7"), Some(v7.0.clone()));
    assert_eq!(pulled(&[&v5], "linux/arm/v6"), Some(v5.0.clone()));
    assert_eq!(pulled(&[&v7], "linux/arm/v6"), None, "never a newer one");
}

#[test]
fn a_size_is_compared_also_where_the_content_is_here_already() {
    let place = Place::new();
    let image = single(&place.store, "one");
    let truth = place.store.manifest(image.id()).unwrap();
    let mut lies: Vec<(Descriptor, &str)> = Vec::new();
    for what in ["config", "layers"] {
        let mut document: Value = serde_json::from_slice(&bytes(&place.store, image.id())).unwrap();
        let size = match what {
            "config" => &mut document["config"]["size"],
            _ => &mut document["layers"][0]["size"],
        };
        *size = json!(size.as_u64().unwrap() + (1 << 62));
        lies.push((put(&place.store, MANIFEST, &document), what));
    }
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let mut child = entry(&image.descriptor, platform);
    child["size"] = json!(4_611_686_018_427_387_904u64);
    lies.push((index(&place.store, &[child]), "manifest"));
    for (lie, what) in lies {
        let (_registry, reference) = serve(&place.store, &lie);
        let error = pull(&place.store, &reference, &options(), &place.config(), &Silent);
        let text = story(&error.unwrap_err());
        assert!(text.contains("bytes") && text.contains("46116860184"), "{what}: {text}");
        assert!(place.store.find(&reference.to_string()).is_err());
    }
    assert!(place.store.is_complete(&truth));
}
