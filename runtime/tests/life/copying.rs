//! `cp` and `export`, of running containers and of those at rest. Each test is a process of its own, since copying may
//! change its namespaces.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use crate::fixture::*;
use knarr_core::id::ContainerId;
use knarr_runtime::container::copy::{self, CopyOptions};
use knarr_runtime::container::{self, Error};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

crate::tests![
    at_rest_and_running,
    docker_rules,
    containers_cannot_reach_the_host,
    archives,
    hostile_archives,
    volumes_are_seen,
    exported,
];

fn out(fixture: &Fixture, id: &ContainerId, source: &str, target: &Path) -> container::Result<()> {
    copy::from_container(&fixture.store, id, source, target, CopyOptions::default())
}

fn into(fixture: &Fixture, id: &ContainerId, source: &Path, target: &str) -> container::Result<()> {
    copy::into_container(&fixture.store, id, source, target, CopyOptions::default())
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn at_rest_and_running() {
    let fixture = Fixture::new();
    let script = "cat /tmp/in; echo made > /tmp/made; sleep 1000";
    let id = fixture.create(&["sh", "-c", script], RunOptions::default());
    let input = fixture.host("in");
    fs::write(&input, "input\n").unwrap();
    into(&fixture, &id, &input, "/tmp").unwrap();
    fixture.start(&id);
    wait_until(|| log(&fixture, &id).contains(&"stdout:input\n".into()));
    wait_until(|| out(&fixture, &id, "/tmp/made", &fixture.host("made")).is_ok());
    wait_until(|| {
        out(&fixture, &id, "/tmp/made", &fixture.host("made")).unwrap();
        text(&fixture.host("made")) == "made\n"
    });
    into(&fixture, &id, &input, "/data/second").unwrap();
    container::kill(&fixture.store, &id, "KILL").unwrap();
    out(&fixture, &id, "/data/second", &fixture.host("second")).unwrap();
    assert_eq!(text(&fixture.host("second")), "input\n");
    // the container is free again
    fixture.start(&id);
}

fn docker_rules() {
    let fixture = Fixture::new();
    let id = fixture.create(&["true"], RunOptions::default());
    let host = |name: &str| fixture.host(name);
    fs::create_dir_all(host("tree/sub")).unwrap();
    fs::write(host("tree/sub/file"), "1").unwrap();
    fs::write(host("file"), "2").unwrap();
    let back = |path: &str| {
        let _ = fs::remove_file(host("back"));
        out(&fixture, &id, path, &host("back")).map(|()| text(&host("back")))
    };
    // a directory, to a name that does not exist: it gets the name
    into(&fixture, &id, &host("tree"), "/new").unwrap();
    assert_eq!(back("/new/sub/file").unwrap(), "1");
    // to one that does: inside it
    into(&fixture, &id, &host("tree"), "/new").unwrap();
    assert_eq!(back("/new/tree/sub/file").unwrap(), "1");
    // only what is in it
    into(&fixture, &id, &host("tree/."), "/tmp").unwrap();
    assert_eq!(back("/tmp/sub/file").unwrap(), "1");
    // a file, over a file, into a directory, under a new name
    into(&fixture, &id, &host("file"), "/tmp/sub/file").unwrap();
    assert_eq!(back("/tmp/sub/file").unwrap(), "2");
    into(&fixture, &id, &host("file"), "/tmp/sub/").unwrap();
    into(&fixture, &id, &host("file"), "tmp/other").unwrap();
    assert_eq!(back("/tmp/other").unwrap(), "2");
    // what cannot be
    let error = |result: container::Result<()>| result.unwrap_err();
    let missing = error(into(&fixture, &id, &host("file"), "/missing/"));
    assert!(matches!(missing, Error::NotADirectory { .. }), "{missing:?}");
    assert!(matches!(error(into(&fixture, &id, &host("none"), "/tmp")), Error::NoSuchPath { .. }));
    let onto_file = error(into(&fixture, &id, &host("tree"), "/tmp/other"));
    assert!(matches!(onto_file, Error::NotADirectory { .. }), "{onto_file:?}");
    assert!(matches!(back("/none").unwrap_err(), Error::NoSuchPath { .. }));
    assert!(matches!(back("/tmp/other/").unwrap_err(), Error::NotADirectory { .. }));
}

fn containers_cannot_reach_the_host() {
    let fixture = Fixture::new();
    let secret = fixture.host("secret");
    fs::write(&secret, "secret").unwrap();
    fs::create_dir(fixture.host("outside")).unwrap();
    let id = fixture.create(&["true"], RunOptions::default());
    let links = fixture.host("links");
    fs::create_dir(&links).unwrap();
    symlink(&secret, links.join("to-secret")).unwrap();
    symlink(fixture.host("outside"), links.join("to-outside")).unwrap();
    into(&fixture, &id, &links.join("."), "/tmp").unwrap();
    // a link is copied as a link, and followed inside the root only, where there is nothing
    let follow = CopyOptions { follow_link: true, ..Default::default() };
    let target = fixture.host("stolen");
    let result = copy::from_container(&fixture.store, &id, "/tmp/to-secret", &target, follow);
    assert!(matches!(result, Err(Error::NoSuchPath { .. })), "{result:?}");
    let result = out(&fixture, &id, "/tmp/to-outside/", &target);
    assert!(matches!(result, Err(Error::NoSuchPath { .. })), "{result:?}");
    let result = into(&fixture, &id, &secret, "/tmp/to-outside/planted");
    assert!(result.is_err());
    assert!(fs::read_dir(fixture.host("outside")).unwrap().next().is_none());
    // dotdot ends at the root, and absolute links of the image work
    out(&fixture, &id, "/../../absolute/from-image", &target).unwrap();
    assert_eq!(text(&target), "image\n");
    // over a link of the host's directory nothing is written elsewhere
    let folder = fixture.host("folder");
    fs::create_dir(&folder).unwrap();
    symlink(&secret, folder.join("from-image")).unwrap();
    out(&fixture, &id, "/data/from-image", &folder).unwrap();
    assert_eq!(
        (text(&secret).as_str(), text(&folder.join("from-image")).as_str()),
        ("secret", "image\n")
    );
}

fn archives() {
    let fixture = Fixture::new();
    let id = fixture.create(&["true"], RunOptions::default());
    let mut archive = Vec::new();
    copy::to_archive(&fixture.store, &id, "/data", &mut archive, CopyOptions::default()).unwrap();
    let names: Vec<String> = tar::Archive::new(&*archive)
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["data/", "data/from-image"]);
    let copied =
        copy::from_archive(&fixture.store, &id, &mut &*archive, "/tmp", CopyOptions::default());
    copied.unwrap();
    out(&fixture, &id, "/tmp/data/from-image", &fixture.host("back")).unwrap();
    assert_eq!(text(&fixture.host("back")), "image\n");
    let file = copy::from_archive(
        &fixture.store,
        &id,
        &mut &*archive,
        "/data/from-image",
        CopyOptions::default(),
    );
    assert!(matches!(file, Err(Error::NotADirectory { .. })));
}

fn hostile_archives() {
    let fixture = Fixture::new();
    let outside = fixture.host("outside");
    fs::create_dir(&outside).unwrap();
    let archive = |entries: &[(&str, Option<&Path>)]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, link) in entries {
            let mut header = tar::Header::new_old();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            header.set_size(if link.is_some() { 0 } else { 4 });
            if let Some(link) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(link).unwrap();
            }
            header.set_cksum();
            let content: &[u8] = if link.is_some() { b"" } else { b"evil" };
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let target = fixture.host("volume");
    fs::create_dir(&target).unwrap();
    let mount =
        container::options::parse_volume(&format!("{}:/volume", target.display()), Path::new("/"));
    let options = RunOptions { mounts: vec![mount.unwrap()], ..Default::default() };
    let id = fixture.create(&["true"], options);
    for entries in [
        &[("../evil", None)][..],
        &[("a/../../evil", None)],
        &[("link", Some(outside.as_path())), ("link/evil", None)],
    ] {
        let bytes = archive(entries);
        let result = copy::from_archive(
            &fixture.store,
            &id,
            &mut &*bytes,
            "/volume",
            CopyOptions::default(),
        );
        assert!(result.is_err(), "{entries:?}");
        assert!(!outside.join("evil").exists() && !fixture.host("evil").exists());
    }
    // an absolute name is taken from the directory on
    let bytes = archive(&[("/etc/evil", None)]);
    copy::from_archive(&fixture.store, &id, &mut &*bytes, "/volume", CopyOptions::default())
        .unwrap();
    assert_eq!(text(&target.join("etc/evil")), "evil");
}

fn volumes_are_seen() {
    let fixture = Fixture::new();
    let mounts = ["named:/data", "read:/locked:ro"]
        .map(|text| container::options::parse_volume(text, Path::new("/")).unwrap());
    let options = RunOptions { mounts: mounts.into(), ..Default::default() };
    let id = fixture.create(&["sleep", "1000"], options.clone());
    fs::write(fixture.host("in"), "1").unwrap();
    into(&fixture, &id, &fixture.host("in"), "/data/in").unwrap();
    let data = fixture.root().volumes().join("named/_data/in");
    assert_eq!(text(&data), "1", "at rest the volume is mounted, not hidden");
    assert_eq!(fs::metadata(&data).unwrap().uid(), 0);
    fixture.start(&id);
    out(&fixture, &id, "/data/in", &fixture.host("out")).unwrap();
    assert!(into(&fixture, &id, &fixture.host("in"), "/locked/in").is_err());
    let wasm = fixture.create_wasm(&["sleep", "1000000"], options);
    fixture.start(&wasm);
    out(&fixture, &wasm, "/data/in", &fixture.host("out-of-wasm")).unwrap();
    out(&fixture, &wasm, "/kit.wasm", &fixture.host("kit")).unwrap();
}

fn exported() {
    let fixture = Fixture::new();
    let mount = container::options::parse_volume("named:/tmp", Path::new("/")).unwrap();
    let options = RunOptions { mounts: vec![mount], ..Default::default() };
    let id =
        fixture.create(&["sh", "-c", "echo x > /root/x; echo y > /tmp/y; sleep 1000"], options);
    let names = || {
        let mut archive = Vec::new();
        container::export(&fixture.store, &id, &mut archive).unwrap();
        let mut archive = tar::Archive::new(&*archive);
        let entries = archive.entries().unwrap();
        let names: Vec<String> =
            entries.map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        names
    };
    assert!(names().contains(&"data/from-image".into()));
    fixture.start(&id);
    wait_until(|| names().contains(&"root/x".into()));
    let names = names();
    assert!(!names.iter().any(|n| n.starts_with("tmp/") && n.len() > 4), "{names:?}");
    assert!(!names.iter().any(|n| n.starts_with("proc/") && n.len() > 5), "{names:?}");
}
