use crate::support::{Fixture, Tar, fixture, plain};
use knarr_core::fsx;
use knarr_core::image::{Descriptor, MediaType, Platform, Reference};
use knarr_core::store::{Error, Image};
use serde_json::json;

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn image(fixture: &Fixture, content: &str) -> Descriptor {
    fixture.image(&[plain(Tar::new().file("file", content.as_bytes()).end())]).2
}

fn names(fixture: &Fixture) -> Vec<String> {
    fixture.store.images().unwrap().iter().map(Image::display_name).collect()
}

#[test]
fn index_json_holds_one_entry_for_each_name() {
    let fixture = fixture();
    let descriptor = image(&fixture, "a");
    fixture.store.tag(&reference("app"), descriptor.clone()).unwrap();
    fixture.store.tag(&reference("localhost:5000/app:1"), descriptor.clone()).unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&fsx::read(&fixture.store.root().index()).unwrap()).unwrap();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let names: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["docker.io/library/app:latest", "localhost:5000/app:1"]);
}

#[test]
fn a_name_moves_and_leaves_a_dangling_image() {
    let fixture = fixture();
    let (first, second) = (image(&fixture, "1"), image(&fixture, "2"));
    fixture.store.tag(&reference("app"), first.clone()).unwrap();
    fixture.store.tag(&reference("app"), second.clone()).unwrap();
    let images = fixture.store.images().unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!((&images[0].reference, images[0].id()), (&None, first.digest()));
    assert_eq!(fixture.store.find("app").unwrap().id(), second.digest());
    // a name again: no longer dangling
    fixture.store.tag(&reference("app:old"), first).unwrap();
    assert_eq!(names(&fixture), ["app:latest", "app:old"]);
}

#[test]
fn untag_keeps_the_image() {
    let fixture = fixture();
    let descriptor = image(&fixture, "1");
    fixture.store.tag(&reference("app"), descriptor.clone()).unwrap();
    assert!(fixture.store.untag(&reference("app")).unwrap());
    assert!(!fixture.store.untag(&reference("app")).unwrap());
    assert_eq!(names(&fixture), [descriptor.digest().to_string()]);
}

#[test]
fn images_are_found_by_dockers_rules() {
    let fixture = fixture();
    let (first, second) = (image(&fixture, "1"), image(&fixture, "2"));
    let id = first.digest().digest().to_owned();
    fixture.store.tag(&reference("localhost:5000/app:1"), first.clone()).unwrap();
    fixture.store.tag(&reference("other"), second.clone()).unwrap();
    let found = |text: &str| fixture.store.find(text).map(|image| image.id().clone());
    for text in [
        "localhost:5000/app:1".to_owned(),
        format!("localhost:5000/app@sha256:{id}"),
        format!("localhost:5000/app:1@sha256:{id}"),
        format!("sha256:{id}"),
        id.clone(),
        id[..12].to_owned(),
        format!("sha256:{}", &id[..12]),
    ] {
        assert_eq!(&found(&text).unwrap(), first.digest(), "{text}");
    }
    for text in ["localhost:5000/app", "app:1", "nothing", "sha256:", "zz", ""] {
        assert!(matches!(found(text), Err(Error::NotFound { .. })), "{text}");
    }
    // the same digest under another repository is another image
    assert!(found(&format!("stranger@sha256:{id}")).is_err());
}

#[test]
fn a_name_goes_before_an_id_and_ambiguous_ids_are_refused() {
    let fixture = fixture();
    let images: Vec<Descriptor> = (0..40).map(|n| image(&fixture, &n.to_string())).collect();
    for (n, descriptor) in images.iter().enumerate() {
        fixture.store.tag(&reference(&format!("app:{n}")), descriptor.clone()).unwrap();
    }
    let digits: Vec<String> = images.iter().map(|d| d.digest().digest()[..1].to_owned()).collect();
    let twice = digits.iter().find(|d| digits.iter().filter(|e| e == d).count() > 1).unwrap();
    assert!(matches!(fixture.store.find(twice), Err(Error::Ambiguous { .. })));
    // an image that is called like the start of another one's id
    let id = images[0].digest().digest()[..8].to_owned();
    fixture.store.tag(&reference(&id), images[1].clone()).unwrap();
    assert_eq!(fixture.store.find(&id).unwrap().id(), images[1].digest());
    // several names of one image are not ambiguous
    fixture.store.tag(&reference("again"), images[2].clone()).unwrap();
    let id = &images[2].digest().digest()[..20];
    assert_eq!(fixture.store.find(id).unwrap().id(), images[2].digest());
}

#[test]
fn variants_of_nested_indexes_without_attestations() {
    let fixture = fixture();
    let tar = |n: &str| plain(Tar::new().file("f", n.as_bytes()).end());
    let native = fixture.image_with(&[tar("1")], "linux", &["/bin/sh"]).2;
    let wasm = fixture.image_with(&[tar("2")], "wasip1", &["/app.wasm"]).2;
    let scratch = fixture.image_with(&[tar("3")], "linux", &["app.wasm#main"]).2;
    let with_platform = |descriptor: &Descriptor, os: &str, architecture: &str| {
        let mut value = serde_json::to_value(descriptor).unwrap();
        value["platform"] = json!({"os": os, "architecture": architecture});
        value
    };
    let absent = json!({
        "mediaType": MediaType::ImageManifest, "size": 5,
        "digest": format!("sha256:{}", "0".repeat(64)),
        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
    });
    let inner = fixture.json(
        MediaType::ImageIndex,
        &json!({"schemaVersion": 2, "manifests": [wasm, scratch, absent]}),
    );
    let outer = fixture.json(
        MediaType::ImageIndex,
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
            "annotations": null,
            "manifests": [
                with_platform(&native, "linux", "x86_64"),
                with_platform(&native, "unknown", "unknown"),
                inner,
            ],
        }),
    );
    fixture.store.tag(&reference("app"), outer).unwrap();
    let variants = fixture.store.variants(&fixture.store.find("app").unwrap()).unwrap();
    let seen: Vec<(String, bool)> =
        variants.iter().map(|v| (v.platform.to_string(), v.present)).collect();
    let expected =
        [("linux/amd64", true), ("wasip1/wasm", true), ("wasi/wasm", true), ("linux/arm64", false)];
    assert_eq!(seen, expected.map(|(p, present)| (p.to_owned(), present)));
}

#[test]
fn documents_as_others_write_them() {
    let fixture = fixture();
    let config = fixture.json(
        "application/vnd.docker.container.image.v1+json".into(),
        &json!({"architecture": "arm64", "os": "linux", "config": null, "history": null,
                "rootfs": {"type": "layers", "diff_ids": null}}),
    );
    // no mediaType, and Go's null for an empty list
    let manifest = fixture.json(
        "application/vnd.docker.distribution.manifest.v2+json".into(),
        &json!({"schemaVersion": 2, "config": config, "layers": null}),
    );
    fixture.store.tag(&reference("app"), manifest.clone()).unwrap();
    let image = fixture.store.find("app").unwrap();
    let variants = fixture.store.variants(&image).unwrap();
    assert_eq!(variants[0].platform, "linux/arm64".parse::<Platform>().unwrap());
    let document = fixture.store.manifest(manifest.digest()).unwrap();
    let config = fixture.store.config(&document).unwrap();
    assert_eq!(fixture.store.unpack(&document, &config).unwrap(), []);
    assert!(fixture.store.size_of(manifest.digest()).unwrap().unpacked == Some(0));

    let index = fixture.json(
        MediaType::ImageIndex,
        &json!({"schemaVersion": 2, "manifests": null, "mediaType": MediaType::ImageIndex}),
    );
    assert!(fixture.store.index(index.digest()).unwrap().manifests().is_empty());
}

#[test]
fn a_document_that_is_two_things_at_once_is_refused() {
    let fixture = fixture();
    let manifest = image(&fixture, "1");
    let mut value: serde_json::Value =
        serde_json::from_slice(&fixture.store.read_manifest_bytes(manifest.digest()).unwrap())
            .unwrap();
    value["manifests"] = json!([]);
    for media_type in [json!(null), json!(MediaType::ImageManifest), json!(MediaType::ImageIndex)] {
        value["mediaType"] = media_type;
        value["manifests"] = json!([manifest]);
        let both = fixture.json(MediaType::ImageManifest, &value);
        assert!(matches!(fixture.store.manifest(both.digest()), Err(Error::Malformed { .. })));
        assert!(matches!(fixture.store.index(both.digest()), Err(Error::Malformed { .. })));
    }
    assert!(matches!(fixture.store.index(manifest.digest()), Err(Error::WrongKind { .. })));
}

#[test]
fn truncated_documents_are_an_error() {
    let fixture = fixture();
    let descriptor = image(&fixture, "1");
    let bytes = fixture.store.read_manifest_bytes(descriptor.digest()).unwrap();
    let digest = fixture.store.put(&bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(fixture.store.manifest(&digest), Err(Error::Malformed { .. })));
    fsx::write(&fixture.store.root().index(), b"{\"schemaVersion\":2,\"mani").unwrap();
    assert!(matches!(fixture.store.images(), Err(Error::MalformedIndex { .. })));
}

#[test]
fn a_damaged_configuration_is_noticed() {
    let fixture = fixture();
    let manifest = fixture.store.manifest(image(&fixture, "1").digest()).unwrap();
    let path = fixture.store.blob_path(manifest.config().digest());
    let text = fsx::read_to_string(&path).unwrap();
    fsx::write(&path, text.replace("amd64", "arm64")).unwrap();
    assert!(matches!(fixture.store.config(&manifest), Err(Error::DigestMismatch { .. })));
}

#[test]
fn endless_nesting_is_refused() {
    let fixture = fixture();
    let mut descriptor = image(&fixture, "1");
    for _ in 0..8 {
        descriptor = fixture
            .json(MediaType::ImageIndex, &json!({"schemaVersion": 2, "manifests": [descriptor]}));
    }
    fixture.store.tag(&reference("app"), descriptor).unwrap();
    let image = fixture.store.find("app").unwrap();
    assert!(matches!(fixture.store.variants(&image), Err(Error::NestedTooDeep { .. })));
}

#[test]
fn names_given_by_many_at_once_are_all_kept() {
    let fixture = fixture();
    let descriptor = image(&fixture, "1");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, descriptor) = (fixture.store.clone(), descriptor.clone());
            scope.spawn(move || {
                for n in 0..5 {
                    let name = reference(&format!("app:{thread}-{n}"));
                    store.tag(&name, descriptor.clone()).unwrap();
                }
            });
        }
    });
    assert_eq!(fixture.store.images().unwrap().len(), 40);
}

#[test]
fn names_written_by_other_tools_are_read() {
    let fixture = fixture();
    let descriptor = image(&fixture, "1");
    let mut entry = serde_json::to_value(&descriptor).unwrap();
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "busybox-latest"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fsx::write(&fixture.store.root().index(), index.to_string()).unwrap();
    assert_eq!(fixture.store.find("busybox-latest").unwrap().id(), descriptor.digest());
    assert!(fixture.store.untag(&reference("busybox-latest:latest")).unwrap());
}
