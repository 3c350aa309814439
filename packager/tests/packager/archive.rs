//! Archives, written and read back, by us and by skopeo.

use crate::support::images::{app, bytes, compressed, layers, manifest, noise, single, tar};
use crate::support::tools::{run, skopeo};
use crate::support::{Place, story};
use knarr_core::image::Reference;
use knarr_core::store::{Image, digest_of};
use knarr_packager::archive::{Error, Format, SaveOptions, load, load_path, save};
use knarr_packager::wasm::{ModuleImage, image_of_module, manifest_of_module};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;

fn oci() -> SaveOptions {
    SaveOptions::default()
}

fn docker() -> SaveOptions {
    SaveOptions { format: Format::DockerArchive, platform: None }
}

fn saved(place: &Place, images: &[Image], options: &SaveOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    save(&place.store, images, &mut bytes, options).unwrap();
    bytes
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), content);
    }
    files
}

fn names(images: &[Image]) -> Vec<String> {
    images.iter().map(Image::display_name).collect()
}

#[test]
fn an_oci_archive_keeps_everything() {
    let place = Place::new();
    let images = [app(&place.store, "app:1"), single(&place.store, "ghcr.io/x/one:2")];
    let archive = saved(&place, &images, &oci());
    assert!(archive == saved(&place, &images, &oci()), "the same bytes every time");
    for archive in compressed(&archive) {
        let other = Place::new();
        let loaded = load(&other.store, &mut &archive[..]).unwrap();
        assert_eq!(names(&loaded), ["app:1", "ghcr.io/x/one:2"]);
        assert_eq!(loaded[0].id(), images[0].id());
        assert!(other.store.variants(&loaded[0]).unwrap().iter().all(|v| v.present));
        assert_eq!(other.store.find("app:1").unwrap().id(), images[0].id());
    }
}

#[test]
fn an_oci_archive_is_also_dockers() {
    let place = Place::new();
    let image = app(&place.store, "app:1");
    let also = Image { reference: Some("other:2".parse().unwrap()), ..image.clone() };
    let files = files(&saved(&place, &[image.clone(), also], &oci()));
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let annotations = &index["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/app:1");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");
    // the native variant, under both names
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest.as_array().unwrap().len(), 1);
    assert_eq!(manifest[0]["RepoTags"], json!(["app:1", "other:2"]));
    let native = layers(&place.store, &image, "linux/amd64");
    assert_eq!(manifest[0]["Layers"].as_array().unwrap().len(), native.len());
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        assert!(files.contains_key(layer.as_str().unwrap()));
    }
}

#[test]
fn one_variant_of_many() {
    let place = Place::new();
    let image = app(&place.store, "app:1");
    let options = SaveOptions { platform: Some("wasi/wasm".parse().unwrap()), ..oci() };
    let archive = saved(&place, std::slice::from_ref(&image), &options);
    let other = Place::new();
    let loaded = load(&other.store, &mut &archive[..]).unwrap();
    let variants = other.store.variants(&loaded[0]).unwrap();
    assert!(variants.len() == 1 && variants[0].platform.is_wasm());
    let options = SaveOptions { platform: Some("linux/arm64".parse().unwrap()), ..oci() };
    let error = save(&place.store, &[image], &mut Vec::new(), &options).unwrap_err();
    assert!(story(&error).contains("it has linux/amd64, wasi/wasm"), "{}", story(&error));
}

#[test]
fn skopeo_reads_both_formats() {
    let place = Place::new();
    let image = single(&place.store, "one:1");
    let path = |name: &str| place.directory.path().join(name).display().to_string();
    for (name, options) in [("oci-archive", oci()), ("docker-archive", docker())] {
        std::fs::write(path(name), saved(&place, std::slice::from_ref(&image), &options)).unwrap();
        let from = format!("{name}:{}", path(name));
        let to = format!("oci:{}:x", path(&format!("{name}-copy")));
        skopeo(&["copy", &from, &to]);
        assert!(skopeo(&["inspect", "--config", &to]).contains("/hello"));
    }
    // what we mean for both is read as either
    std::fs::write(path("both"), saved(&place, &[image], &oci())).unwrap();
    assert!(skopeo(&["inspect", &format!("docker-archive:{}", path("both"))]).contains("amd64"));
}

#[test]
fn we_read_skopeos() {
    let place = Place::new();
    let image = single(&place.store, "one:1");
    let from = format!("oci:{}:docker.io/library/one:1", place.store.root().data().display());
    let path = |name: &str| place.directory.path().join(name);
    for (transport, name, expected) in [
        ("oci-archive", ":docker.io/library/two:2", "two:2"),
        ("docker-archive", ":two:2", "two:2"),
        ("oci", ":localhost/two:2", "localhost/two:2"),
    ] {
        let to = format!("{transport}:{}{name}", path(transport).display());
        skopeo(&["copy", &from, &to]);
        let other = Place::new();
        let loaded = load_path(&other.store, &path(transport)).unwrap();
        assert_eq!(names(&loaded), [expected], "{transport}");
        let variant = &other.store.variants(&loaded[0]).unwrap()[0];
        let manifest = other.store.manifest(&variant.manifest).unwrap();
        let config = other.store.config(&manifest).unwrap();
        other.store.unpack(&manifest, &config).unwrap();
        if transport != "docker-archive" {
            assert_eq!(loaded[0].id(), image.id());
        }
    }
}

#[test]
fn a_layout_of_umoci_has_no_full_names() {
    let place = Place::new();
    let layout = place.directory.path().join("layout").display().to_string();
    run("umoci", &["init", "--layout", &layout]);
    run("umoci", &["new", "--image", &format!("{layout}:latest")]);
    let loaded = load_path(&place.store, layout.as_ref()).unwrap();
    assert!(loaded[0].reference.is_none());
    assert_eq!(place.store.images().unwrap().len(), 1);
}

#[test]
fn a_docker_archive_survives_the_journey() {
    let place = Place::new();
    let image = app(&place.store, "app:1");
    let archive = saved(&place, &[image.clone(), single(&place.store, "one:1")], &docker());
    let other = Place::new();
    let loaded = load(&other.store, &mut &archive[..]).unwrap();
    assert_eq!(names(&loaded), ["app:1", "one:1"]);
    let variant = &other.store.variants(&loaded[0]).unwrap()[0];
    assert!(variant.present && variant.platform.to_string() == "linux/amd64");
    // the same configuration, so Docker's image id is the same
    let theirs = other.store.manifest(&variant.manifest).unwrap().config().digest().clone();
    let variants = place.store.variants(&image).unwrap();
    let native = variants.iter().find(|v| !v.platform.is_wasm()).unwrap();
    assert_eq!(&theirs, place.store.manifest(&native.manifest).unwrap().config().digest());
}

/// As `docker save` wrote until version 24: a folder for each layer, equal ones as links.
#[test]
fn an_old_docker_archive_with_links() {
    let place = Place::new();
    let layer = tar(&[("hello", b"x")]);
    let diff_id = digest_of(&layer).to_string();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]}});
    let manifest = json!([{"Config": "c.json", "RepoTags": ["old:1", "old:2"],
        "Layers": ["aa/layer.tar", "bb/layer.tar"]}]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    };
    add("aa/VERSION", b"1.0");
    add("aa/json", b"{}");
    add("aa/layer.tar", &layer);
    add("c.json", &serde_json::to_vec(&config).unwrap());
    add("manifest.json", &serde_json::to_vec(&manifest).unwrap());
    add("repositories", b"{}");
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "bb/layer.tar", "../aa/layer.tar").unwrap();
    let loaded = load(&place.store, &mut &archive.into_inner().unwrap()[..]).unwrap();
    assert_eq!(names(&loaded), ["old:1", "old:2"]);
    assert_eq!(layers(&place.store, &loaded[0], "linux/amd64").len(), 2);
}

#[test]
fn an_incomplete_image_is_not_saved() {
    let place = Place::new();
    let image = single(&place.store, "one:1");
    let layer = layers(&place.store, &image, "linux/amd64")[0].clone();
    std::fs::remove_file(place.store.blob_path(layer.digest())).unwrap();
    let error = save(&place.store, &[image], &mut Vec::new(), &oci()).unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
    assert!(story(&error).contains("hint: run 'knarr pull one:1' first"));
}

#[test]
fn variants_that_are_not_here_stay_away() {
    let place = Place::new();
    let image = app(&place.store, "app:1");
    let native = layers(&place.store, &image, "linux/amd64")[0].clone();
    std::fs::remove_file(place.store.blob_path(native.digest())).unwrap();
    let archive = saved(&place, std::slice::from_ref(&image), &oci());
    let other = Place::new();
    let loaded = load(&other.store, &mut &archive[..]).unwrap();
    assert_eq!(loaded[0].id(), image.id());
    let variants = other.store.variants(&loaded[0]).unwrap();
    assert_eq!(variants.iter().filter(|v| v.present).count(), 1);
}

#[test]
fn a_module_becomes_an_image() {
    let place = Place::new();
    let module = noise(3, 50_000);
    let reference: Reference = "hello:1".parse().unwrap();
    let options = ModuleImage { file_name: "hello.wasm".into(), ..ModuleImage::default() };
    let image = image_of_module(&place.store, &module, &reference, &options).unwrap();
    let again = manifest_of_module(&place.store, &module, &options).unwrap();
    assert_eq!(image.id(), again.digest());
    let variants = place.store.variants(&image).unwrap();
    let manifest = place.store.manifest(&variants[0].manifest).unwrap();
    let config = place.store.config(&manifest).unwrap();
    assert_eq!(config.config.entrypoint.as_deref().unwrap(), ["/hello.wasm"]);
    assert_eq!(config.platform().to_string(), "wasi/wasm");
    let chain = place.store.unpack(&manifest, &config).unwrap();
    let file = place.store.layer_path(&chain[0]).join("hello.wasm");
    assert!(std::fs::read(file).unwrap() == module);

    // and one variant of several
    let native = manifest_for(&place);
    let index = knarr_packager::index::combine(&place.store, &[again, native]).unwrap();
    let image = Image { reference: None, descriptor: index };
    assert_eq!(place.store.variants(&image).unwrap().len(), 2);
    assert!(!bytes(&place.store, image.id()).is_empty());
}

fn manifest_for(place: &Place) -> knarr_core::image::Descriptor {
    manifest(&place.store, "linux/amd64", &[tar(&[("a", b"b")])])
}
