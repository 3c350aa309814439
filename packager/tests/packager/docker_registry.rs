//! With Debian's docker-registry between skopeo and us, both ways.

use crate::support::images::{app, single};
use crate::support::tools::{DockerRegistry, skopeo};
use crate::support::{Place, options};
use knarr_core::image::Reference;
use knarr_packager::Silent;
use knarr_packager::registry::{PullOptions, PushOptions, pull, push};

#[test]
fn we_push_skopeo_reads() {
    let place = Place::new();
    let registry = DockerRegistry::start(place.directory.path());
    let name = format!("{}/team/app:1", registry.host);
    let image = app(&place.store, &name);
    let reference: Reference = name.parse().unwrap();
    push(&place.store, &reference, &PushOptions::default(), &place.config(), &Silent).unwrap();

    let raw = skopeo(&["inspect", "--tls-verify=false", "--raw", &format!("docker://{name}")]);
    assert_eq!(raw.as_bytes(), std::fs::read(place.store.blob_path(image.id())).unwrap());
    let layout = format!("oci:{}:app", place.directory.path().join("layout").display());
    let from = format!("docker://{name}");
    skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &layout]);

    // by another name, with the layers mounted from the first
    let other: Reference = format!("{}/other:2", registry.host).parse().unwrap();
    place.store.tag(&other, image.descriptor.clone()).unwrap();
    push(&place.store, &other, &PushOptions::default(), &place.config(), &Silent).unwrap();
    let back = Place::new();
    let all = PullOptions { all_platforms: true, ..options() };
    let pulled = pull(&back.store, &other, &all, &back.config(), &Silent).unwrap();
    assert!(back.store.variants(&pulled).unwrap().iter().all(|v| v.present));
}

#[test]
fn skopeo_pushes_we_pull() {
    let place = Place::new();
    let registry = DockerRegistry::start(place.directory.path());
    let image = single(&place.store, "one:1");
    let store = place.store.root().data().display().to_string();
    let from = format!("oci:{store}:docker.io/library/one:1");
    for (format, name) in [("oci", "one:oci"), ("v2s2", "one:docker")] {
        let to = format!("docker://{}/{name}", registry.host);
        skopeo(&["copy", "--dest-tls-verify=false", "--format", format, &from, &to]);
        let other = Place::new();
        let reference = format!("{}/{name}", registry.host).parse().unwrap();
        let pulled = pull(&other.store, &reference, &options(), &other.config(), &Silent).unwrap();
        let variants = other.store.variants(&pulled).unwrap();
        assert!(variants[0].present && variants[0].platform.to_string() == "linux/amd64");
        if format == "v2s2" {
            // as Docker Hub has it; skopeo reads no such manifests from an OCI layout
            continue;
        }
        assert_eq!(pulled.id(), image.id());
        let root = other.store.root().data().display().to_string();
        let config = skopeo(&["inspect", "--config", &format!("oci:{root}:{reference}")]);
        assert!(config.contains("/hello"), "{config}");
    }
}
