use crate::snapshot::{snapshot_of, two_layers};
use crate::support::*;
use knarr_core::fsx;
use knarr_core::store::{digest_of, export, export_changes, snapshot};
use knarr_core::sys;
use std::collections::BTreeMap;
use std::path::Path;

/// What each entry of an archive is, by name, as the `tar` crate reads it.
fn entries(archive: &[u8]) -> BTreeMap<String, (tar::EntryType, Option<String>)> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let entry = entry.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let link = entry.link_name_bytes().map(|l| text(&l));
        entries.insert(text(&entry.path_bytes()), (entry.header().entry_type(), link));
    }
    entries
}

fn exported(tree: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    export(tree, &mut archive).unwrap();
    archive
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let fixture = fixture();
    let long = format!("{}/{}", "a".repeat(150), "é".repeat(100));
    let source = Tar::new()
        .directory("d", 0o1777)
        .entry(&Entry { name: b"d/su", mode: 0o4755, uid: 3_000_000, gid: 7, data: b"x", ..ENTRY })
        .hard_link("d/twin", "d/su")
        .pax(&[("path", long.as_bytes()), ("SCHILY.xattr.user.note", b"a\0b")])
        .file("long", b"long")
        .pax(&[("linkpath", long.as_bytes())])
        .entry(&Entry { kind: b'2', name: b"symlink", ..ENTRY })
        .entry(&Entry { kind: b'3', name: b"null", device: (1, 3), ..ENTRY })
        .entry(&Entry { kind: b'6', name: b"pipe", ..ENTRY })
        .end();
    let tree = fixture.unpack_one(source).unwrap();
    let archive = exported(&tree);
    let again = Layer { media_type: TAR, diff_id: digest_of(&archive), blob: archive.clone() };
    let copy = fixture.unpack(&[again]).unwrap().remove(0);
    assert!(exported(&copy) == archive, "the same tree gives the same archive");
    assert_eq!(fsx::read(&copy.join(&long)).unwrap(), b"long");
    assert_eq!(
        sys::xattrs_of(&copy.join(&long)).unwrap(),
        [(b"user.note".to_vec(), b"a\0b".to_vec())]
    );
    let (su, twin) = (copy.join("d/su"), copy.join("d/twin"));
    let of = |path: &Path| sys::attributes_of(path).unwrap();
    assert_eq!((of(&su).mode, of(&su).uid, of(&su).shared), (0o4755, 3_000_000, of(&twin).shared));
    let names: Vec<String> = entries(&archive).into_keys().collect();
    assert!(names.contains(&"d/".to_owned()) && names.iter().all(|n| !n.starts_with('/')));
}

#[test]
fn other_programs_read_what_is_exported() {
    let fixture = fixture();
    let tree = fixture.unpack(&two_layers()).unwrap().remove(0);
    let entries = entries(&exported(&tree));
    assert_eq!(entries["bin/twin"], (tar::EntryType::Link, Some("bin/real".into())));
    assert_eq!(entries["sbin"], (tar::EntryType::Symlink, Some("/bin".into())));
    assert_eq!(entries["etc/"].0, tar::EntryType::Directory);
}

#[test]
fn changes_become_a_layer() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    sys::enter_mount_namespace().unwrap();
    snapshot::mount(&snapshot, false).unwrap();
    let root = &snapshot.target;
    fsx::remove_file(&root.join("etc/passwd")).unwrap();
    fsx::remove_dir_all(&root.join("hidden")).unwrap();
    fsx::create_dir(&root.join("hidden")).unwrap();
    fsx::write(&root.join("hidden/again"), b"again").unwrap();
    fsx::write(&root.join("added"), b"added").unwrap();
    let mut archive = Vec::new();
    export_changes(&snapshot.upper, &mut archive).unwrap();
    let names: Vec<String> = entries(&archive).into_keys().collect();
    assert_eq!(
        names,
        ["added", "etc/", "etc/.wh.passwd", "hidden/", "hidden/.wh..wh..opq", "hidden/again"]
    );

    // on the same layers it gives the same tree
    let expected = exported(root);
    let [base, top] = two_layers();
    let trees = fixture.unpack(&[base, top, plain(archive)]).unwrap();
    let at = |name: &str| fixture.directory.path().join(name);
    let again = snapshot::Snapshot {
        lower: trees.into_iter().rev().collect(),
        upper: at("upper2"),
        work: at("work2"),
        target: at("rootfs2"),
    };
    snapshot::mount(&again, false).unwrap();
    assert!(exported(&again.target) == expected);
}

#[test]
fn links_in_a_tree_are_not_followed() {
    let fixture = fixture();
    let tree = fixture.directory.path().join("tree");
    fsx::create_dir(&tree).unwrap();
    std::os::unix::fs::symlink("/etc", tree.join("etc")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tree.join("passwd")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let entries = entries(&exported(&tree));
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["etc", "passwd"]);
    assert_eq!(entries["etc"].0, tar::EntryType::Symlink);
}
