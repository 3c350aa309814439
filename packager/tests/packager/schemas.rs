//! Every document that we write is what the OCI image-spec's own schemas ask for.

use crate::support::Place;
use crate::support::images::tar;
use knarr_core::image::Digest;
use knarr_core::image::config::ExecutionConfig;
use knarr_core::store::Image;
use knarr_packager::archive::{Format, ImportOptions, SaveOptions, import, load, save};
use knarr_packager::index;
use knarr_packager::wasm::{ModuleImage, image_of_module};
use serde_json::Value;
use std::io::Read;

const BASE: &str = "https://opencontainers.org/schema/";
const SCHEMAS: &[(&str, &str)] = &[
    ("config-schema.json", include_str!("../data/image-spec/config-schema.json")),
    ("content-descriptor.json", include_str!("../data/image-spec/content-descriptor.json")),
    ("defs-descriptor.json", include_str!("../data/image-spec/defs-descriptor.json")),
    ("defs.json", include_str!("../data/image-spec/defs.json")),
    ("image-index-schema.json", include_str!("../data/image-spec/image-index-schema.json")),
    ("image-layout-schema.json", include_str!("../data/image-spec/image-layout-schema.json")),
    ("image-manifest-schema.json", include_str!("../data/image-spec/image-manifest-schema.json")),
];

pub fn validate(schema: &str, document: &[u8]) {
    let mut compiler = boon::Compiler::new();
    for (name, text) in SCHEMAS {
        let mut schema: Value = serde_json::from_str(text).unwrap();
        remove_ids(&mut schema);
        compiler.add_resource(&format!("{BASE}{name}"), schema).unwrap();
    }
    let mut schemas = boon::Schemas::new();
    let compiled = compiler.compile(&format!("{BASE}{schema}"), &mut schemas).unwrap();
    let value: Value = serde_json::from_slice(document).unwrap();
    if let Err(error) = schemas.validate(&value, compiled) {
        panic!("{schema}: {error:#}\n{value:#}");
    }
}

/// The schemas' ids are not the names by which they refer to each other.
fn remove_ids(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("id").is_some_and(Value::is_string) {
                map.remove("id");
            }
            map.values_mut().for_each(remove_ids);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_ids),
        _ => {}
    }
}

/// Manifest and configuration of each variant, and the index above them.
fn validate_image(place: &Place, image: &Image) {
    let read = |digest: &Digest| std::fs::read(place.store.blob_path(digest)).unwrap();
    if image.descriptor.media_type().to_string().contains("index") {
        validate("image-index-schema.json", &read(image.id()));
    }
    for variant in place.store.variants(image).unwrap() {
        validate("image-manifest-schema.json", &read(&variant.manifest));
        let manifest = place.store.manifest(&variant.manifest).unwrap();
        validate("config-schema.json", &read(manifest.config().digest()));
    }
}

#[test]
fn what_we_make_is_valid() {
    let place = Place::new();
    let full = ModuleImage {
        config: ExecutionConfig {
            user: "1000".into(),
            exposed_ports: vec!["80/tcp".into()],
            env: vec!["A=b".into()],
            cmd: Some(vec!["x".into()]),
            volumes: vec!["/data".into()],
            working_dir: "/".into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            stop_signal: Some("SIGINT".into()),
            on_build: vec!["RUN x".into()],
            ..ExecutionConfig::default()
        },
        ..ModuleImage::default()
    };
    let name = "app:1".parse().unwrap();
    let module = image_of_module(&place.store, b"\0asm", &name, &full).unwrap();
    let rootfs = tar(&[("a", b"b")]);
    let options = ImportOptions {
        platform: Some("linux/arm/v7".parse().unwrap()),
        message: Some("x".into()),
        ..ImportOptions::default()
    };
    let native = import(&place.store, &mut &rootfs[..], None, &options).unwrap();
    let both = [module.descriptor.clone(), native.descriptor.clone()];
    let index = index::combine(&place.store, &both).unwrap();
    let image = Image { reference: Some(name), descriptor: index };
    for image in [&module, &native, &image] {
        validate_image(&place, image);
    }

    // the archive's own documents, and what a docker archive becomes
    let mut archive = Vec::new();
    save(&place.store, &[image], &mut archive, &SaveOptions::default()).unwrap();
    validate("image-index-schema.json", &file(&archive, "index.json"));
    validate("image-layout-schema.json", &file(&archive, "oci-layout"));
    let options = SaveOptions { format: Format::DockerArchive, platform: None };
    let mut archive = Vec::new();
    save(&place.store, &[native], &mut archive, &options).unwrap();
    let other = Place::new();
    for image in load(&other.store, &mut &archive[..]).unwrap() {
        validate_image(&other, &image);
    }
}

fn file(archive: &[u8], name: &str) -> Vec<u8> {
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path_bytes() == name.as_bytes() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            return bytes;
        }
    }
    panic!("no {name}");
}

#[test]
#[should_panic(expected = "image-index-schema.json")]
fn the_schemas_are_not_asleep() {
    validate("image-index-schema.json", br#"{"schemaVersion": 2, "manifests": [{}]}"#);
}
