use crate::support::*;
use knarr_core::fsx;
use knarr_core::store::export;
use knarr_core::store::snapshot::{self, Mounted, Snapshot};
use knarr_core::sys;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A snapshot of these layers (bottom first).
pub fn snapshot_of(fixture: &Fixture, layers: &[Layer]) -> Snapshot {
    let lower = fixture.unpack(layers).unwrap().into_iter().rev().collect();
    let at = |name: &str| fixture.directory.path().join(name);
    Snapshot { lower, upper: at("upper"), work: at("work"), target: at("rootfs") }
}

pub fn two_layers() -> [Layer; 2] {
    let base = Tar::new()
        .entry(&Entry { kind: b'5', name: b"./", mode: 0o711, uid: 5, ..ENTRY })
        .directory("etc", 0o755)
        .file("etc/passwd", b"base")
        .file("etc/removed", b"")
        .directory("hidden", 0o755)
        .file("hidden/old", b"")
        .directory("bin", 0o755)
        .file("bin/real", b"program")
        .hard_link("bin/twin", "bin/real")
        .symlink("sbin", "/bin")
        .symlink("absolute", "/etc/passwd")
        .symlink("relative", "bin/../../../../etc/passwd")
        .symlink("loop", "loop")
        .end();
    let top = Tar::new()
        .file("etc/passwd", b"top")
        .file("etc/.wh.removed", b"")
        .directory("hidden", 0o755)
        .file("hidden/.wh..wh..opq", b"")
        .file("hidden/new", b"new")
        .end();
    [plain(base), plain(top)]
}

fn check(root: &Path) {
    assert_eq!(fsx::read(&root.join("etc/passwd")).unwrap(), b"top");
    assert_eq!(fsx::list(&root.join("etc")).unwrap(), ["passwd"]);
    assert_eq!(fsx::list(&root.join("hidden")).unwrap(), ["new"]);
    assert_eq!(root.join("bin/twin").metadata().unwrap().nlink(), 2);
    assert_eq!(root.join("sbin").read_link().unwrap(), Path::new("/bin"));
}

#[test]
fn an_overlay_shows_the_layers_and_keeps_changes_apart() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    sys::enter_mount_namespace().unwrap();
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Overlay);
    check(&snapshot.target);
    let root = snapshot.target.metadata().unwrap();
    // the top layer does not speak of the root directory
    assert_eq!(root.mode() & 0o777, 0o755);
    fsx::write(&snapshot.target.join("etc/passwd"), b"changed").unwrap();
    fsx::remove_dir_all(&snapshot.target.join("bin")).unwrap();
    assert_eq!(fsx::read(&snapshot.upper.join("etc/passwd")).unwrap(), b"changed");
    assert_eq!(fsx::read(&snapshot.lower[0].join("etc/passwd")).unwrap(), b"top");
    assert!(snapshot.lower[1].join("bin/real").exists());
    // again, as a restart does
    rustix::mount::unmount(&snapshot.target, rustix::mount::UnmountFlags::empty()).unwrap();
    snapshot::mount(&snapshot, false).unwrap();
    assert_eq!(fsx::read(&snapshot.target.join("etc/passwd")).unwrap(), b"changed");
}

#[test]
fn a_mount_is_seen_by_nobody_else() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sys::enter_mount_namespace().unwrap();
            snapshot::mount(&snapshot, true).unwrap();
            check(&snapshot.target);
        });
    });
    assert_eq!(fsx::list(&snapshot.target).unwrap(), Vec::<String>::new());
}

#[test]
fn a_volatile_snapshot_can_be_mounted_again() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    sys::enter_mount_namespace().unwrap();
    for _ in 0..2 {
        assert_eq!(snapshot::mount(&snapshot, true).unwrap(), Mounted::Overlay);
        check(&snapshot.target);
        rustix::mount::unmount(&snapshot.target, rustix::mount::UnmountFlags::empty()).unwrap();
    }
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &[]);
    sys::enter_mount_namespace().unwrap();
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Overlay);
    fsx::write(&snapshot.target.join("file"), b"x").unwrap();
    assert!(snapshot.upper.join("file").exists());
}

#[test]
fn as_many_layers_as_docker_allows_and_long_paths() {
    let mut fixture = fixture();
    // longer than fsconfig(2) takes, and 127 of them much more than a page
    let deep = fixture.directory.path().join("x".repeat(120)).join("y,:\\".repeat(30));
    fixture.store = knarr_core::store::Store::open(&knarr_core::root::Root::at(deep)).unwrap();
    let layers: Vec<Layer> = (0..127)
        .map(|n| plain(Tar::new().file(&format!("file{n}"), b"").file("same", &[n]).end()))
        .collect();
    let snapshot = snapshot_of(&fixture, &layers);
    sys::enter_mount_namespace().unwrap();
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Overlay);
    assert_eq!(fsx::list(&snapshot.target).unwrap().len(), 128);
    assert_eq!(fsx::read(&snapshot.target.join("same")).unwrap(), [126]);
}

#[test]
fn a_copy_shows_the_same() {
    let fixture = fixture();
    let mut layers = Vec::from(two_layers());
    let mut sparse = vec![0; 4 << 20];
    sparse[1 << 20] = 1;
    layers.push(plain(
        Tar::new()
            .pax(&[("SCHILY.xattr.user.note", b"n")])
            .entry(&Entry { name: b"su", mode: 0o4711, uid: 9, mtime: 3, data: b"x", ..ENTRY })
            .entry(&Entry { kind: b'6', name: b"pipe", ..ENTRY })
            .file("sparse", &sparse)
            .end(),
    ));
    let snapshot = snapshot_of(&fixture, &layers);
    assert_eq!(snapshot::copy(&snapshot).unwrap(), Mounted::Copy);
    check(&snapshot.target);
    let su = snapshot.target.join("su");
    let metadata = su.metadata().unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.mtime()), (0o4711, 9, 3));
    assert_eq!(sys::xattrs_of(&su).unwrap().len(), 1);
    let copied = snapshot.target.join("sparse");
    assert!(fsx::read(&copied).unwrap() == sparse);
    assert!(copied.metadata().unwrap().blocks() * 512 < 1 << 20);

    // exactly what the overlay shows
    let mut copy = Vec::new();
    export(&snapshot.target, &mut copy).unwrap();
    let overlay = Snapshot {
        upper: fixture.directory.path().join("upper2"),
        work: fixture.directory.path().join("work2"),
        target: fixture.directory.path().join("rootfs2"),
        ..snapshot.clone()
    };
    sys::enter_mount_namespace().unwrap();
    assert_eq!(snapshot::mount(&overlay, false).unwrap(), Mounted::Overlay);
    let mut mounted = Vec::new();
    export(&overlay.target, &mut mounted).unwrap();
    assert!(copy == mounted);

    // a restart keeps what was changed in the copy
    fsx::write(&snapshot.target.join("etc/passwd"), b"changed").unwrap();
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Copy);
    assert_eq!(fsx::read(&snapshot.target.join("etc/passwd")).unwrap(), b"changed");
}

#[test]
fn a_copy_that_broke_off_is_made_anew() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    fsx::create_dir(&snapshot.target).unwrap();
    fsx::write(&snapshot.target.join("half"), b"").unwrap();
    snapshot::copy(&snapshot).unwrap();
    check(&snapshot.target);
    assert!(!snapshot.target.join("half").exists());
}

#[test]
fn a_host_without_overlays_gets_a_copy() {
    let fixture = fixture();
    let mut snapshot = snapshot_of(&fixture, &two_layers());
    sys::enter_mount_namespace().unwrap();
    // an upper directory on an overlay with a remote-like lower is refused by the kernel: procfs is simplest
    snapshot.work = fixture.directory.path().join("work");
    fsx::create_dir(&snapshot.work).unwrap();
    let ramfs = fixture.directory.path().join("ramfs");
    fsx::create_dir(&ramfs).unwrap();
    rustix::mount::mount("r", &ramfs, "ramfs", rustix::mount::MountFlags::empty(), None).unwrap();
    // upper and work on different file systems
    snapshot.upper = ramfs.join("upper");
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Copy);
    check(&snapshot.target);
}

#[test]
fn files_are_located_through_all_layers() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    fsx::create_dir_all(&snapshot.upper.join("etc")).unwrap();
    fsx::write(&snapshot.upper.join("etc/new"), b"").unwrap();
    let locate = |path: &str| snapshot::locate(&snapshot, Path::new(path));
    let (top, base) = (&snapshot.lower[0], &snapshot.lower[1]);
    let in_layer = |path: PathBuf| Some((path, true));
    assert_eq!(locate("/etc/passwd"), in_layer(top.join("etc/passwd")));
    assert_eq!(locate("etc/../etc/./passwd"), in_layer(top.join("etc/passwd")));
    assert_eq!(locate("/sbin/real"), in_layer(base.join("bin/real")));
    assert_eq!(locate("/absolute"), in_layer(top.join("etc/passwd")));
    assert_eq!(locate("/relative"), in_layer(top.join("etc/passwd")));
    assert_eq!(locate("/../../bin/real"), in_layer(base.join("bin/real")));
    assert_eq!(locate("/hidden/new"), in_layer(top.join("hidden/new")));
    assert_eq!(locate("/etc/new"), Some((snapshot.upper.join("etc/new"), false)));
    for absent in ["/etc/removed", "/hidden/old", "/loop", "/nothing", "/etc/passwd/x"] {
        assert_eq!(locate(absent), None, "{absent}");
    }
    snapshot::copy(&snapshot).unwrap();
    let copied = snapshot.target.join("etc/passwd");
    assert_eq!(locate("/absolute"), Some((copied, false)));
}

#[test]
fn trees_of_containers_can_be_removed() {
    let fixture = fixture();
    let snapshot = snapshot_of(&fixture, &two_layers());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sys::enter_mount_namespace().unwrap();
            snapshot::mount(&snapshot, true).unwrap();
            fsx::create_dir_all(&snapshot.target.join("a/b")).unwrap();
            fsx::remove_dir_all(&snapshot.target.join("etc")).unwrap();
        });
    });
    // a link out of the tree is removed, not followed
    let outside = fixture.directory.path().join("outside");
    fsx::create_dir_all(&outside.join("kept")).unwrap();
    std::os::unix::fs::symlink(&outside, snapshot.upper.join("link")).unwrap();
    for tree in [&snapshot.upper, &snapshot.work, &snapshot.target] {
        sys::remove_tree(tree).unwrap();
        assert!(!tree.exists());
        sys::remove_tree(tree).unwrap();
    }
    assert!(outside.join("kept").exists());
}
