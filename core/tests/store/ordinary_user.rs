//! The store of a user without any privilege. The tests run as root: each goes on as somebody else.

use crate::snapshot::{snapshot_of, two_layers};
use crate::support::*;
use knarr_core::fsx;
use knarr_core::store::snapshot::{self, Mounted};
use knarr_core::sys;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const USER: u32 = 54321;

/// Runs an ignored test of this program as an ordinary user, in a process with a single thread.
fn as_user(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    std::os::unix::fs::chown(home, Some(USER), Some(USER)).unwrap();
    // where it is built the user may not enter
    let program = home.join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&program)
        .args(["--exact", test, "--ignored", "--test-threads=1", "--nocapture"])
        .env_clear()
        .env("TMPDIR", home)
        .current_dir(home)
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "{stdout}");
}

fn everything() -> Tar {
    Tar::new()
        .entry(&Entry { kind: b'5', name: b"closed", mode: 0o000, mtime: 7, ..ENTRY })
        .file("closed/file", b"x")
        .entry(&Entry { name: b"shadow", mode: 0o000, uid: 0, gid: 42, data: b"x", ..ENTRY })
        .entry(&Entry { kind: b'3', name: b"null", device: (1, 3), ..ENTRY })
        .entry(&Entry { kind: b'4', name: b"disk", device: (8, 0), ..ENTRY })
        .entry(&Entry { kind: b'6', name: b"pipe", ..ENTRY })
        .pax(&[("SCHILY.xattr.security.capability", b"xxxx"), ("SCHILY.xattr.user.a", b"b")])
        .entry(&Entry { name: b"su", mode: 0o4755, data: b"x", ..ENTRY })
}

#[test]
#[ignore = "run as an ordinary user by another test"]
fn unpack_as_this_user() {
    assert!(!sys::is_superuser());
    let fixture = fixture();
    let (manifest, config, _) = fixture.image(&[plain(everything().end())]);
    let chains = fixture.store.unpack(&manifest, &config).unwrap();
    let tree = fixture.store.layer_path(&chains[0]);
    // devices are left out, as rootless Podman does, and that is on record
    assert_eq!(fsx::list(&tree).unwrap(), ["closed", "pipe", "shadow", "su"]);
    assert_eq!(fixture.store.layer_info(&chains[0]).unwrap().unwrap().skipped_devices, 2);
    let of = |name: &str| tree.join(name).metadata().unwrap();
    assert_eq!((of("shadow").uid(), of("shadow").mode() & 0o7777), (USER, 0o400));
    assert_eq!((of("closed").mode() & 0o7777, of("closed").mtime()), (0o500, 7));
    assert_eq!(of("su").mode() & 0o7777, 0o4755);
    assert_eq!(sys::xattrs_of(&tree.join("su")).unwrap(), [(b"user.a".to_vec(), b"b".to_vec())]);
    // and removable, whatever the modes are
    fixture.store.collect(&|| Ok(Vec::new())).unwrap();
    assert!(fixture.layer_names().is_empty());
}

#[test]
fn an_ordinary_user_unpacks_and_removes() {
    as_user("ordinary_user::unpack_as_this_user");
}

#[test]
#[ignore = "run as an ordinary user by another test"]
fn mount_as_this_user() {
    let fixture = fixture();
    let mut layers = Vec::from(two_layers());
    layers.push(plain(everything().end()));
    let snapshot = snapshot_of(&fixture, &layers);
    assert!(sys::is_opaque(&snapshot.lower[1].join("hidden")));
    if sys::enter_user_namespace().is_err() {
        // this host forbids user namespaces: the copy is what its users get
        assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Copy);
        return check(&snapshot.target);
    }
    assert!(!sys::is_superuser());
    assert_eq!(snapshot::mount(&snapshot, true).unwrap(), Mounted::Overlay);
    check(&snapshot.target);
    fsx::remove_file(&snapshot.target.join("su")).unwrap();
    fsx::remove_dir_all(&snapshot.target.join("etc")).unwrap();
    fsx::create_dir(&snapshot.target.join("etc")).unwrap();
    rustix::mount::unmount(&snapshot.target, rustix::mount::UnmountFlags::empty()).unwrap();
    // mounted again: the marks in the upper directory are understood
    snapshot::mount(&snapshot, true).unwrap();
    assert_eq!(fsx::list(&snapshot.target.join("etc")).unwrap(), Vec::<String>::new());
    assert!(!snapshot.target.join("su").exists());
    rustix::mount::unmount(&snapshot.target, rustix::mount::UnmountFlags::empty()).unwrap();
    for tree in [&snapshot.upper, &snapshot.work, &snapshot.target] {
        sys::remove_tree(tree).unwrap();
    }
}

fn check(root: &Path) {
    assert_eq!(fsx::read(&root.join("etc/passwd")).unwrap(), b"top");
    assert_eq!(fsx::list(&root.join("etc")).unwrap(), ["passwd"]);
    assert_eq!(fsx::list(&root.join("hidden")).unwrap(), ["new"]);
    assert_eq!(fsx::read(&root.join("shadow")).unwrap(), b"x");
}

#[test]
fn an_ordinary_user_mounts_in_a_user_namespace() {
    as_user("ordinary_user::mount_as_this_user");
}

#[test]
#[ignore = "run as an ordinary user by another test"]
fn copy_as_this_user() {
    let fixture = fixture();
    let mut layers = Vec::from(two_layers());
    layers.push(plain(everything().end()));
    let snapshot = snapshot_of(&fixture, &layers);
    // without a namespace of its own, a user may not mount
    assert_eq!(snapshot::mount(&snapshot, false).unwrap(), Mounted::Copy);
    check(&snapshot.target);
    assert_eq!(snapshot.target.join("closed").metadata().unwrap().mode() & 0o777, 0o500);
    sys::remove_tree(&snapshot.target).unwrap();
    assert!(!snapshot.target.exists());
}

#[test]
fn an_ordinary_user_without_namespaces_gets_a_copy() {
    as_user("ordinary_user::copy_as_this_user");
}
