//! Layers beside each other: threads, processes, crashes.

use crate::support::*;
use knarr_core::fsx;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::store::{Store, chain_ids, digest_of};
use std::process::Command;

fn layers(count: usize) -> Vec<Layer> {
    (0..count)
        .map(|n| {
            let mut tar = Tar::new().directory("d", 0o755);
            for file in 0..50 {
                tar = tar.file(&format!("d/{n}-{file}"), format!("{n}-{file}").as_bytes());
            }
            plain(tar.end())
        })
        .collect()
}

#[test]
fn chain_ids_as_the_specification_has_them() {
    let (a, b) = (digest_of(b"a"), digest_of(b"b"));
    let chain = chain_ids(&[a.clone(), b.clone()]);
    assert_eq!(chain, [a.clone(), digest_of(format!("{a} {b}").as_bytes())]);
    assert_eq!(chain_ids(&[]), []);
}

#[test]
fn layers_are_shared_by_images_and_kept_apart_by_what_is_below() {
    let fixture = fixture();
    let mut three = layers(3);
    let first = fixture.unpack(&three).unwrap();
    let again = fixture.unpack(&three).unwrap();
    assert_eq!(first, again);
    assert_eq!(fixture.layer_names().len(), 3);
    three.swap(1, 2);
    let swapped = fixture.unpack(&three).unwrap();
    assert_eq!(first[0], swapped[0]);
    assert_eq!(fixture.layer_names().len(), 5);
}

#[test]
fn what_is_known_of_a_layer() {
    let fixture = fixture();
    let (manifest, config, descriptor) = fixture.image(&layers(2));
    assert_eq!(fixture.store.size_of(descriptor.digest()).unwrap().unpacked, None);
    let chains = fixture.store.unpack(&manifest, &config).unwrap();
    let info = fixture.store.layer_info(&chains[0]).unwrap().unwrap();
    assert_eq!((info.entries, info.size, info.skipped_devices), (51, 190, 0));
    let size = fixture.store.size_of(descriptor.digest()).unwrap();
    assert_eq!(size.unpacked, Some(2 * info.size));
    assert!(size.content > manifest.layers().iter().map(|l| l.size()).sum());
}

#[test]
fn layers_arrive_in_any_order() {
    let fixture = fixture();
    let mut three = layers(2);
    // this one needs what is below it
    three.push(plain(Tar::new().file("d/new", b"").hard_link("h", "d/0-0").end()));
    let (manifest, config, _) = fixture.image(&three);
    let unpacker = fixture.store.unpacker(&manifest, &config).unwrap();
    unpacker.layer(2).unwrap();
    assert!(!unpacker.is_present(2));
    unpacker.layer(1).unwrap();
    assert!(unpacker.is_present(1));
    // the bottom one was never asked for
    let chains = unpacker.finish().unwrap();
    assert!(chains.iter().all(|chain| fixture.store.has_layer(chain)));
    assert_eq!(fsx::read(&fixture.store.layer_path(&chains[2]).join("h")).unwrap(), b"0-0");
    assert_eq!(fsx::list(&fixture.store.root().layers()).unwrap().len(), 3, "and nothing else");
}

#[test]
fn an_unpacker_that_is_dropped_leaves_nothing() {
    let fixture = fixture();
    let two = [layers(1).remove(0), plain(Tar::new().file("d/new", b"").end())];
    let (manifest, config, _) = fixture.image(&two);
    let unpacker = fixture.store.unpacker(&manifest, &config).unwrap();
    unpacker.layer(1).unwrap();
    assert_eq!(fixture.layer_names().len(), 1);
    drop(unpacker);
    assert!(fixture.layer_names().is_empty());
}

#[test]
fn many_threads_unpack_one_image() {
    let fixture = fixture();
    let (manifest, config, _) = fixture.image(&layers(4));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fixture.store.unpack(&manifest, &config).unwrap());
        }
    });
    assert_eq!(fixture.layer_names().len(), 4);
    assert_eq!(fsx::list(&fixture.store.root().layers()).unwrap().len(), 4, "no locks are left");
}

/// Not a test of its own: what [`many_processes_unpack_one_image`] runs.
#[test]
#[ignore = "run by another test, with KNARR_TEST_ROOT"]
fn unpack_in_this_process() {
    let root = Root::at(std::env::var("KNARR_TEST_ROOT").unwrap());
    let store = Store::open(&root).unwrap();
    let image = store.find("app").unwrap();
    let manifest = store.manifest(image.id()).unwrap();
    let chains = store.unpack(&manifest, &store.config(&manifest).unwrap()).unwrap();
    for (n, chain) in chains.iter().enumerate() {
        let file = store.layer_path(chain).join(format!("d/{n}-49"));
        assert_eq!(fsx::read(&file).unwrap(), format!("{n}-49").as_bytes());
    }
}

#[test]
fn many_processes_unpack_one_image() {
    let fixture = fixture();
    let (_, _, descriptor) = fixture.image(&layers(4));
    fixture.store.tag(&"app".parse().unwrap(), descriptor).unwrap();
    let processes: Vec<_> = (0..6)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "layers::unpack_in_this_process", "--ignored"])
                .env("KNARR_TEST_ROOT", fixture.store.root().data())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(fixture.layer_names().len(), 4);
}

#[test]
fn a_layer_is_unpacked_again_after_a_power_cut() {
    let fixture = fixture();
    let (manifest, config, _) = fixture.image(&layers(1));
    let unpacker = fixture.store.unpacker(&manifest, &config).unwrap();
    unpacker.layer(0).unwrap();
    let chain = unpacker.chains().remove(0);
    let folder = fixture.store.root().layers().join(chain.digest());
    let mark = folder.join("unsynced");
    // known to be on disk once the image is finished; until then it counts as long as the machine runs
    assert!(mark.exists() && fixture.store.has_layer(&chain));
    let file = folder.join("fs/d/0-0");
    for boot in ["another boot", ""] {
        fsx::write(&mark, boot).unwrap();
        fsx::write(&file, b"").unwrap();
        assert!(!fixture.store.has_layer(&chain));
        fixture.store.unpack(&manifest, &config).unwrap();
        assert_eq!(fsx::read(&file).unwrap(), b"0-0");
        assert!(!mark.exists());
    }
    drop(unpacker);
}

#[test]
fn a_crashed_unpack_is_no_layer_and_no_obstacle() {
    let fixture = fixture();
    let (manifest, config, _) = fixture.image(&layers(1));
    let chain = fixture.store.unpacker(&manifest, &config).unwrap().chains().remove(0);
    let name = format!("{}.incomplete-0123456789abcdef", chain.digest());
    let leftover = fixture.store.root().layers().join(name);
    fsx::create_dir_all(&leftover.join("fs/d")).unwrap();
    fsx::write(&leftover.join("fs/d/0-0"), b"half").unwrap();
    assert!(!fixture.store.has_layer(&chain));
    // whoever unpacks next, and the collector, take it, unless it is locked
    let held = Lock::exclusive(&leftover.join("lock")).unwrap();
    let chains = fixture.store.unpack(&manifest, &config).unwrap();
    assert_eq!(fsx::read(&fixture.store.layer_path(&chains[0]).join("d/0-0")).unwrap(), b"0-0");
    fixture.store.collect(&|| Ok(Vec::new())).unwrap();
    assert!(leftover.exists());
    drop(held);
    fixture.store.collect(&|| Ok(Vec::new())).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn missing_blobs_and_wrong_counts_are_clear() {
    let fixture = fixture();
    let (manifest, mut config, _) = fixture.image(&layers(2));
    config.rootfs.diff_ids.pop();
    let error = fixture.store.unpack(&manifest, &config).unwrap_err();
    assert_eq!(error.to_string(), "the manifest has 2 layers, and its configuration 1 diff ids");
    let (manifest, config, _) = fixture.image(&layers(2));
    fsx::remove_file(&fixture.store.blob_path(manifest.layers()[1].digest())).unwrap();
    let error = fixture.store.unpack(&manifest, &config).unwrap_err();
    assert!(matches!(error, knarr_core::store::Error::BlobMissing { .. }));
}
