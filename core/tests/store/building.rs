//! Layers that are made here: their trees become layers as they are, and their archives say the same.
#![allow(clippy::disallowed_methods)] // the tests look at the trees themselves

use crate::support::{fixture, plain};
use knarr_core::fsx::Durability;
use knarr_core::record;
use knarr_core::store::cached::CachedStep;
use knarr_core::store::{BuiltLayer, Store};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A layer with a file, a link to it, an empty directory, and a mark that `gone` was removed.
fn build(store: &Store, below: Option<&BuiltLayer>) -> BuiltLayer {
    let layer = store.build_layer().unwrap();
    let upper = layer.upper();
    fs::create_dir(upper.join("empty")).unwrap();
    fs::write(upper.join("file"), "content").unwrap();
    fs::hard_link(upper.join("file"), upper.join("link")).unwrap();
    let tree = knarr_core::sys::Tree::open(&upper, true).unwrap();
    tree.root().make_whiteout(b"gone").unwrap();
    layer.finish(below.map(|layer| &layer.chain), Some(1000)).unwrap()
}

#[test]
fn an_archive_of_it_unpacks_to_the_same_layer() {
    let (here, there) = (fixture(), fixture());
    let built = build(&here.store, None);
    let tree = here.store.layer_path(&built.chain);
    assert_eq!(fs::metadata(tree.join("file")).unwrap().mtime(), 1000, "no file is younger");
    assert_eq!((built.info.entries, built.info.size), (4, 7));
    let mut archive = Vec::new();
    here.store.export_layer(&built.chain, &mut archive).unwrap();
    let layer = plain(archive);
    assert_eq!(layer.diff_id, built.info.diff_id);
    let unpacked = there.unpack(&[layer]).unwrap();
    assert_eq!(unpacked[0], there.store.layer_path(&built.chain));
    let [one, two] = ["file", "link"].map(|name| fs::metadata(unpacked[0].join(name)).unwrap());
    assert_eq!(one.ino(), two.ino());
}

#[test]
fn the_same_changes_on_top_of_others() {
    let fixture = fixture();
    let bottom = build(&fixture.store, None);
    let above = build(&fixture.store, Some(&bottom));
    assert_eq!(above.info.diff_id, bottom.info.diff_id);
    assert_ne!(above.chain, bottom.chain);
    let rebased = fixture.store.rebase_layer(&above.chain, Some(&above.chain)).unwrap();
    assert_eq!(rebased.info.diff_id, above.info.diff_id);
    let [one, two] = [&above, &rebased].map(|layer| {
        fs::metadata(fixture.store.layer_path(&layer.chain).join("file")).unwrap().ino()
    });
    assert_eq!(one, two, "files are shared");
}

#[test]
fn what_is_given_up_leaves_nothing() {
    let fixture = fixture();
    let layer = fixture.store.build_layer().unwrap();
    fs::write(layer.upper().join("half"), "").unwrap();
    layer.scratch("beside").unwrap();
    drop(layer);
    assert!(fixture.layer_names().is_empty());
    build(&fixture.store, None);
    assert_eq!(fixture.layer_names().len(), 1);
}

#[test]
fn the_collector_keeps_what_the_build_cache_refers_to() {
    let fixture = fixture();
    let kept = build(&fixture.store, None);
    let doomed = build(&fixture.store, Some(&kept));
    let steps = fixture.store.root().build_steps();
    fs::create_dir_all(&steps).unwrap();
    let step = CachedStep {
        chain: kept.chain.clone(),
        diff_id: kept.info.diff_id.clone(),
        size: 7,
        empty: false,
        created: String::new(),
        description: "RUN make".into(),
    };
    record::write(&steps.join("key.json"), &step, Durability::Process).unwrap();
    fs::write(steps.join("broken.json"), "{").unwrap();
    fixture.store.collect(&|| Ok(Vec::new())).unwrap();
    assert!(fixture.store.has_layer(&kept.chain));
    assert!(!fixture.store.has_layer(&doomed.chain));
}

#[test]
fn a_layer_that_a_power_cut_took_is_made_again() {
    let fixture = fixture();
    let built = build(&fixture.store, None);
    let folder = fixture.store.layer_path(&built.chain).parent().unwrap().to_owned();
    // as if it had been made during another boot, and never been on disk
    fs::write(folder.join("unsynced"), "another boot").unwrap();
    assert!(!fixture.store.has_layer(&built.chain));
    let again = build(&fixture.store, None);
    assert_eq!(again.chain, built.chain);
    assert!(fixture.store.has_layer(&built.chain));
    fixture.store.sync_layers([&built.chain].into_iter()).unwrap();
    assert!(!folder.join("unsynced").exists());
}
