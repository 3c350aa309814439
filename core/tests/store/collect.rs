use crate::support::*;
use knarr_core::fsx;
use knarr_core::image::{Descriptor, Digest, MediaType};
use knarr_core::store::{Error, Removed, Usage};
use serde_json::json;

type Listed = Result<Vec<Usage>, Box<dyn std::error::Error + Send + Sync>>;

fn unused() -> Listed {
    Ok(Vec::new())
}

/// Stores and unpacks an image of a layer that all have and one of its own.
fn image(fixture: &Fixture, own: &str) -> (Descriptor, Vec<Digest>) {
    let shared = plain(Tar::new().file("shared", b"").end());
    let own = plain(Tar::new().file("own", own.as_bytes()).end());
    let (manifest, config, descriptor) = fixture.image(&[shared, own]);
    (descriptor, fixture.store.unpack(&manifest, &config).unwrap())
}

fn tag(fixture: &Fixture, name: &str, descriptor: &Descriptor) {
    fixture.store.tag(&name.parse().unwrap(), descriptor.clone()).unwrap();
}

fn blobs(fixture: &Fixture) -> usize {
    fsx::list(&fixture.store.root().blobs()).unwrap().len()
}

#[test]
fn the_last_name_takes_the_image_with_it() {
    let fixture = fixture();
    let (app, chains) = image(&fixture, "app");
    tag(&fixture, "app:1", &app);
    tag(&fixture, "app:2", &app);
    let removed = fixture.store.remove("app:1", false, &unused).unwrap();
    assert_eq!(removed, [Removed::Untagged("app:1".parse().unwrap())]);
    assert!(fixture.store.has_layer(&chains[1]));

    let removed = fixture.store.remove("app:2", false, &unused).unwrap();
    assert_eq!(
        removed[..2],
        [Removed::Untagged("app:2".parse().unwrap()), Removed::Image(app.digest().clone()),]
    );
    let layers = removed.iter().filter(|r| matches!(r, Removed::Layer { .. })).count();
    let freed = removed.iter().filter(|r| matches!(r, Removed::Blob { .. })).count();
    assert_eq!((layers, freed), (2, 4));
    assert_eq!((blobs(&fixture), fixture.layer_names().len()), (0, 0));
    assert!(matches!(fixture.store.remove("app:2", false, &unused), Err(Error::NotFound { .. })));
}

#[test]
fn what_other_images_share_is_kept() {
    let fixture = fixture();
    let (first, first_chains) = image(&fixture, "1");
    let (second, second_chains) = image(&fixture, "2");
    tag(&fixture, "first", &first);
    tag(&fixture, "second", &second);
    fixture.store.remove("first", false, &unused).unwrap();
    assert!(!fixture.store.has_layer(&first_chains[1]));
    assert!(second_chains.iter().all(|chain| fixture.store.has_layer(chain)));
    let manifest = fixture.store.manifest(second.digest()).unwrap();
    assert!(fixture.store.is_complete(&manifest));
}

#[test]
fn an_id_with_several_names_needs_force() {
    let fixture = fixture();
    let (app, _) = image(&fixture, "app");
    tag(&fixture, "app:1", &app);
    tag(&fixture, "localhost:5000/app", &app);
    let id = app.digest().digest()[..12].to_owned();
    let error = fixture.store.remove(&id, false, &unused).unwrap_err();
    assert!(error.to_string().ends_with("has several names: app:1, localhost:5000/app:latest"));
    assert_eq!(fixture.store.images().unwrap().len(), 2);
    let removed = fixture.store.remove(&id, true, &unused).unwrap();
    assert_eq!(removed.iter().filter(|r| matches!(r, Removed::Untagged(_))).count(), 2);
    assert!(fixture.store.images().unwrap().is_empty());
}

#[test]
fn dangling_images_go_by_their_id() {
    let fixture = fixture();
    let ((first, _), (second, _)) = (image(&fixture, "1"), image(&fixture, "2"));
    tag(&fixture, "app", &first);
    tag(&fixture, "app", &second);
    fixture.store.remove(first.digest().as_ref(), false, &unused).unwrap();
    assert_eq!(fixture.store.images().unwrap().len(), 1);
    assert!(!fixture.store.has(first.digest()));
}

#[test]
fn images_in_use_are_refused_and_what_containers_need_is_kept() {
    let fixture = fixture();
    let (native, chains) = image(&fixture, "app");
    let index =
        fixture.json(MediaType::ImageIndex, &json!({"schemaVersion": 2, "manifests": [native]}));
    tag(&fixture, "app", &index);
    let usage = |running| {
        let (manifest, layers) = (native.digest().clone(), chains.clone());
        move || -> Listed {
            let (manifest, layers) = (manifest.clone(), layers.clone());
            Ok(vec![Usage { container: "web".into(), manifest, layers, running }])
        }
    };
    let error = fixture.store.remove("app", false, &usage(false)).unwrap_err();
    assert_eq!(error.to_string(), "image app:latest is used by container web");
    // by its id what runs is refused, by its name it stays without one
    let id = index.digest().to_string();
    assert!(fixture.store.remove(&id, true, &usage(true)).is_err());
    fixture.store.remove("app", true, &usage(true)).unwrap();
    let left = fixture.store.images().unwrap();
    assert_eq!((left.len(), &left[0].reference), (1, &None));
    tag(&fixture, "app", &index);

    fixture.store.remove("app", true, &usage(false)).unwrap();
    assert!(fixture.store.images().unwrap().is_empty());
    assert!(!fixture.store.has(index.digest()));
    assert!(chains.iter().all(|chain| fixture.store.has_layer(chain)));
    let manifest = fixture.store.manifest(native.digest()).unwrap();
    assert!(fixture.store.is_complete(&manifest));
    // gone with the container
    fixture.store.collect(&unused).unwrap();
    assert_eq!((blobs(&fixture), fixture.layer_names().len()), (0, 0));
}

#[test]
fn nothing_is_collected_while_somebody_adds() {
    let fixture = fixture();
    let (app, chains) = image(&fixture, "app");
    let hold = fixture.store.hold().unwrap();
    assert_eq!(fixture.store.collect(&unused).unwrap(), []);
    tag(&fixture, "other", &image(&fixture, "other").0);
    let removed = fixture.store.remove("other", false, &unused).unwrap();
    assert_eq!(removed.len(), 2, "the names go, the content stays: {removed:?}");
    assert!(fixture.store.has(app.digest()) && fixture.store.has_layer(&chains[0]));
    drop(hold);
    assert!(!fixture.store.collect(&unused).unwrap().is_empty());
    assert!(!fixture.store.has(app.digest()));
}

#[test]
fn nothing_is_removed_when_containers_cannot_be_listed() {
    let fixture = fixture();
    let (app, _) = image(&fixture, "app");
    tag(&fixture, "app", &app);
    let failing = || -> Listed { Err("the disk is on fire".into()) };
    assert!(matches!(fixture.store.remove("app", true, &failing), Err(Error::Usage { .. })));
    assert!(matches!(fixture.store.collect(&failing), Err(Error::Usage { .. })));
    assert!(fixture.store.find("app").is_ok());
}

#[test]
fn a_damaged_image_can_be_removed_and_does_not_stop_the_collector() {
    let fixture = fixture();
    let ((damaged, _), (other, _)) = (image(&fixture, "1"), image(&fixture, "2"));
    let (garbage, _) = image(&fixture, "3");
    tag(&fixture, "damaged", &damaged);
    tag(&fixture, "other", &other);
    fsx::write(&fixture.store.blob_path(damaged.digest()), b"{}").unwrap();
    fixture.store.collect(&unused).unwrap();
    assert!(!fixture.store.has(garbage.digest()) && fixture.store.has(damaged.digest()));
    fixture.store.remove("damaged", false, &unused).unwrap();
    assert_eq!(fixture.store.images().unwrap().len(), 1);
    assert!(fixture.store.is_complete(&fixture.store.manifest(other.digest()).unwrap()));
}

#[test]
fn leftovers_of_crashes_are_swept_and_fresh_downloads_kept() {
    let fixture = fixture();
    let root = fixture.store.root();
    let removed = root.layers().join(format!("{}.removed-00", "a".repeat(64)));
    fsx::create_dir_all(&removed.join("fs/locked")).unwrap();
    let (lock, partial) = (root.layers().join("ab.lock"), root.incoming().join("ab.partial"));
    let temporaries = [root.incoming().join(".tmp-x"), root.data().join(".tmp-y")];
    for path in [&lock, &partial].into_iter().chain(&temporaries) {
        fsx::write(path, b"x").unwrap();
    }
    let sweep = |how: &str| match how {
        "add" => drop(fixture.store.hold_to_add().unwrap()),
        "collect" => drop(fixture.store.collect(&unused).unwrap()),
        _ => {
            tag(&fixture, "app", &image(&fixture, "app").0);
            drop(fixture.store.remove("app", false, &unused).unwrap());
        }
    };
    sweep("collect");
    for path in [&removed, &lock].into_iter().chain(&temporaries) {
        assert!(!path.exists(), "{}", path.display());
    }
    for how in ["add", "collect", "remove"] {
        sweep(how);
        assert!(partial.exists(), "{how}");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
        filetime::set_file_mtime(&partial, old.into()).unwrap();
        sweep(how);
        assert!(!partial.exists(), "{how}");
        fsx::write(&partial, b"x").unwrap();
    }
    // whoever wants room gets it, and is told how much
    let freed = fixture.store.prune(&unused).unwrap();
    assert_eq!(freed.last(), Some(&Removed::Leftover { bytes: 1 }));
    assert!(!partial.exists());
}
