//! Images from root file systems.

use crate::support::images::{compressed, gzip, tar};
use crate::support::tools::skopeo;
use crate::support::{Place, story};
use knarr_core::image::ImageConfig;
use knarr_core::store::Image;
use knarr_packager::archive::{Error, ImportOptions, import};

fn rootfs() -> Vec<u8> {
    tar(&[("etc/os-release", b"ID=test\n"), ("bin/sh", b"#!")])
}

fn config_of(place: &Place, image: &Image) -> ImageConfig {
    let variants = place.store.variants(image).unwrap();
    let manifest = place.store.manifest(&variants[0].manifest).unwrap();
    place.store.config(&manifest).unwrap()
}

#[test]
fn every_compression_gives_the_same_layer() {
    let place = Place::new();
    let plain = rootfs();
    let mut diff_ids = Vec::new();
    for tarball in compressed(&plain) {
        let options = ImportOptions::default();
        let image = import(&place.store, &mut &tarball[..], None, &options).unwrap();
        let config = config_of(&place, &image);
        diff_ids.push(config.rootfs.diff_ids[0].clone());
        let manifest = place.store.manifest(image.id()).unwrap();
        let chain = place.store.unpack(&manifest, &config).unwrap();
        let file = place.store.layer_path(&chain[0]).join("etc/os-release");
        assert_eq!(std::fs::read(file).unwrap(), b"ID=test\n");
    }
    assert!(diff_ids.iter().all(|id| *id == diff_ids[0]));
    // what no layer may be compressed with becomes gzip, the same each time
    assert_eq!(place.store.images().unwrap().len(), 4, "dangling, but kept");
}

#[test]
fn changes_platform_and_message() {
    let place = Place::new();
    let reference = "mine:1".parse().unwrap();
    let options = ImportOptions {
        changes: vec!["CMD [\"/bin/sh\"]".into(), "ENV A=b".into(), "EXPOSE 80".into()],
        platform: Some("linux/arm64".parse().unwrap()),
        message: Some("by hand".into()),
    };
    let image = import(&place.store, &mut &rootfs()[..], Some(&reference), &options).unwrap();
    let config = config_of(&place, &image);
    assert_eq!(config.platform().to_string(), "linux/arm64");
    assert_eq!(config.config.cmd.as_deref().unwrap(), ["/bin/sh"]);
    assert_eq!(config.history[0].comment.as_deref(), Some("by hand"));
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    let store = place.store.root().data().display().to_string();
    let inspected = skopeo(&["inspect", "--config", &format!("oci:{store}:{reference}")]);
    assert!(inspected.contains("\"80/tcp\""), "{inspected}");
    // the same input, the same image
    let again = import(&place.store, &mut &rootfs()[..], Some(&reference), &options).unwrap();
    assert_eq!(again.id(), image.id());
}

#[test]
fn what_is_no_tarball() {
    let place = Place::new();
    let whole = rootfs();
    for bytes in [&b"hello world"[..], &whole[..700], &gzip(&whole)[..60], b"BZh91AY&SY"] {
        let error = import(&place.store, &mut &bytes[..], None, &ImportOptions::default());
        let error = error.unwrap_err();
        assert!(matches!(error, Error::NotATarball(_)), "{error:?}");
        assert!(story(&error).contains("hint: give a tar archive"));
    }
    let options = ImportOptions { changes: vec!["RUN make".into()], ..ImportOptions::default() };
    let error = import(&place.store, &mut &whole[..], None, &options).unwrap_err();
    assert!(story(&error).contains("hint: a change is one of CMD"));
    assert!(place.is_empty());
    assert!(std::fs::read_dir(place.store.root().blobs()).unwrap().next().is_none());
}
