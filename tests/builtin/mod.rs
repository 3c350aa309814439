//! The image `hello` that comes with Knarr is made here: one index with the Wasm module and the native programs
//! of `tests/guests/hello`. The checked-in archive is what this makes.
//!
//! `KNARR_WRITE_BUILTIN=1 cargo test --test e2e builtin` writes it anew.

use crate::harness::image::{Tar, guest};
use knarr_core::image::{Platform, Reference};
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_packager::archive::{self, ImportOptions, SaveOptions};
use knarr_packager::{index, wasm};

const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/builtin/hello.tar");

#[test]
fn the_archive_is_made_of_its_sources() {
    let made = assemble();
    if std::env::var_os("KNARR_WRITE_BUILTIN").is_some() {
        std::fs::write(ARCHIVE, &made).unwrap();
    }
    let kept = std::fs::read(ARCHIVE).unwrap();
    assert!(
        kept == made,
        "src/builtin/hello.tar does not match tests/builtin: see its documentation"
    );
}

fn assemble() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Root::at(directory.path())).unwrap();
    let image = wasm::ModuleImage {
        file_name: "hello.wasm".into(),
        created_by: "knarr: the image that comes with it".into(),
        ..Default::default()
    };
    let module = guest("hello.wasm");
    let mut manifests = vec![wasm::manifest_of_module(&store, &module, &image).unwrap()];
    for architecture in ["amd64", "arm64"] {
        let platform = Platform::new("linux", architecture, None);
        let options = ImportOptions {
            changes: vec![r#"ENTRYPOINT ["/hello"]"#.into()],
            platform: Some(platform),
            message: Some("the image that comes with knarr".into()),
        };
        let mut tar = Tar::new();
        tar.file("hello", 0o755, &guest(&format!("hello.linux-{architecture}")));
        let image = archive::import(&store, &mut &tar.finish()[..], None, &options).unwrap();
        manifests.push(index::descriptor(&store, image.id()).unwrap());
    }
    let reference: Reference = "hello".parse().unwrap();
    store.tag(&reference, index::combine(&store, &manifests).unwrap()).unwrap();
    let mut archive = Vec::new();
    let image = store.find("hello").unwrap();
    archive::save(&store, &[image], &mut archive, &SaveOptions::default()).unwrap();
    archive
}
