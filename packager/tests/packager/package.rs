//! Images from a module and what runs natively.

use crate::support::Place;
use crate::support::images::{gzip, tar};
use knarr_core::hint::Hint;
use knarr_core::image::config::ExecutionConfig;
use knarr_core::image::{ImageConfig, Platform};
use knarr_packager::package::{Error, Native, Package, package};
use std::path::{Path, PathBuf};

fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/built").join(name)
}

fn native(path: impl Into<PathBuf>) -> Native {
    Native { path: path.into(), platform: None }
}

fn configs(place: &Place) -> Vec<ImageConfig> {
    let image = place.store.find("app").unwrap();
    let variants = place.store.variants(&image).unwrap();
    let of = |manifest| place.store.config(&place.store.manifest(manifest).unwrap()).unwrap();
    variants.iter().map(|variant| of(&variant.manifest)).collect()
}

#[test]
fn a_module_and_programs() {
    let place = Place::new();
    let asked = Package {
        module: guest("kit.p1.wasm"),
        native: vec![native(guest("hello.linux-amd64")), native(guest("hello.linux-arm64"))],
        config: ExecutionConfig {
            env: vec!["A=b".into()],
            cmd: Some(vec!["echo".into()]),
            exposed_ports: vec!["80/tcp".into()],
            ..Default::default()
        },
        native_entrypoint: None,
    };
    let names = ["app".parse().unwrap(), "app:1.0".parse().unwrap()];
    let made = package(&place.store, &asked, &names).unwrap();
    let platforms: Vec<_> = made.variants.iter().map(Platform::to_string).collect();
    assert_eq!(platforms, ["wasi/wasm", "linux/amd64", "linux/arm64"]);
    assert_eq!(place.store.find("app:1.0").unwrap().id(), made.image.id());
    let configs = configs(&place);
    let entrypoint = |at: usize| configs[at].config.entrypoint.clone().unwrap();
    assert_eq!(
        (entrypoint(0), entrypoint(1)),
        (vec!["/kit.p1.wasm".into()], vec!["/hello.linux-amd64".to_owned()])
    );
    assert!(
        configs.iter().all(|c| c.config.env == ["A=b"] && c.config.exposed_ports == ["80/tcp"])
    );
    // the same input, the same image
    let again = package(&Place::new().store, &asked, &names).unwrap();
    assert_eq!(again.image.id(), made.image.id());
}

#[test]
fn root_file_systems() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("bin")).unwrap();
    std::fs::write(folder.path().join("bin/app"), "#!").unwrap();
    let archive = folder.path().with_extension("tar.gz");
    std::fs::write(&archive, gzip(&tar(&[("bin/app", b"#!")]))).unwrap();
    let entrypoint = Some(vec!["/bin/app".to_owned()]);
    for path in [folder.path(), &archive] {
        let asked = Package {
            module: guest("kit.p1.wasm"),
            native: vec![native(path)],
            config: ExecutionConfig::default(),
            native_entrypoint: entrypoint.clone(),
        };
        package(&place.store, &asked, &["app".parse().unwrap()]).unwrap();
        let config = &configs(&place)[1];
        assert_eq!(config.config.entrypoint, entrypoint);
        assert_eq!(config.platform(), Platform::host());
        let image = place.store.find("app").unwrap();
        let variant = &place.store.variants(&image).unwrap()[1];
        let chain =
            place.store.unpack(&place.store.manifest(&variant.manifest).unwrap(), config).unwrap();
        assert_eq!(
            std::fs::read(place.store.layer_path(&chain[0]).join("bin/app")).unwrap(),
            b"#!"
        );
    }
    std::fs::remove_file(archive).unwrap();
}

#[test]
fn mistakes_are_named_before_anything_is_written() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "hello").unwrap();
    let broken = folder.path().join("broken.wasm");
    std::fs::write(&broken, b"\0asm\x01\0\0\0\x01").unwrap();
    let attempt = |module: &Path, native: Vec<Native>| {
        let asked = Package { module: module.into(), native, ..Package::default() };
        package(&place.store, &asked, &["app".parse().unwrap()]).unwrap_err()
    };
    let kit = guest("kit.p1.wasm");
    let amd64 = guest("hello.linux-amd64");
    let error = attempt(&amd64, Vec::new());
    assert!(matches!(error, Error::NotWasm { is_native: true, .. }), "{error}");
    assert!(error.hint().unwrap().contains("--linux"));
    assert!(matches!(attempt(&text, Vec::new()), Error::NotWasm { is_native: false, .. }));
    assert!(matches!(attempt(&broken, Vec::new()), Error::Invalid(_)));
    assert!(matches!(attempt(&kit, vec![native(&text)]), Error::NotNative { .. }));
    let error = attempt(&kit, vec![native("/proc/self/exe")]);
    assert!(matches!(error, Error::Dynamic { .. }), "{error}");
    let error = attempt(&kit, vec![native(&amd64), native(&amd64)]);
    assert_eq!(error.to_string(), "there are two variants for linux/amd64");
    let arm64 = Native { path: amd64, platform: Some("linux/arm64".parse().unwrap()) };
    assert!(matches!(attempt(&kit, vec![arm64]), Error::WrongPlatform { .. }));
    assert!(matches!(attempt(Path::new("/no/such.wasm"), Vec::new()), Error::File(_)));
    assert!(place.store.images().unwrap().is_empty());
}
