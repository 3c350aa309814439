//! What removes things, and only says so with `--dry-run`.

use crate::harness::Knarr;

#[test]
fn a_dry_run_lists_what_would_go_and_takes_nothing() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["create", "--name", "native", "busybox"]);
    knarr.ok(&["create", "--name", "wasm", "kit"]);
    knarr.ok(&["run", "-d", "--name", "runs", "kit", "log", "100000", "100"]);
    knarr.ok(&["network", "create", "net"]);
    knarr.ok(&["volume", "create", "vol"]);
    knarr.ok(&["tag", "busybox", "other"]);
    knarr.ok(&["rmi", "-f", "other"]);
    let everything = || {
        let shown = [&["ps", "-a"][..], &["network", "ls"], &["volume", "ls"], &["images"]];
        shown.map(|words| knarr.ok(&[words, &["-q"]].concat()))
    };
    let before = everything();
    for (words, named, not_named) in [
        (&["container", "prune"][..], &["native", "wasm"][..], &["runs"][..]),
        (
            &["container", "prune", "--filter", "until=1h"],
            &["Nothing would be removed"],
            &["native"],
        ),
        (&["network", "prune"], &["net"], &["bridge"]),
        (&["volume", "prune", "-a"], &["vol ("], &[]),
        (&["volume", "prune"], &["Nothing would be removed"], &["vol ("]),
        (&["image", "prune"], &["Nothing would be removed"], &["busybox"]),
        (&["builder", "prune", "-a"], &["Nothing would be removed"], &[]),
        (&["system", "prune", "-a", "--volumes"], &["native", "wasm", "net"], &["runs", "vol ("]),
        (&["rm", "native", "wasm"], &["native\nwasm"], &[]),
        (&["rm", "-f", "runs"], &["runs"], &[]),
        (&["volume", "rm", "vol"], &["vol"], &[]),
        (&["network", "rm", "net"], &["net"], &[]),
        (&["rmi", "-f", "busybox"], &["Untagged: busybox:latest\nDeleted: sha256:"], &[]),
    ] {
        // also where nobody is to be asked
        for force in [&["--dry-run"][..], &["--dry-run", "-f"]] {
            let shown = knarr.ok(&[words, force].concat());
            let is_shown = |text: &&&str| shown.contains(**text);
            assert!(named.iter().all(|text| is_shown(&text)), "{words:?}: {shown}");
            assert!(!not_named.iter().any(|text| is_shown(&text)), "{words:?}: {shown}");
        }
    }
    let said = knarr.fails(1, &["rm", "--dry-run", "runs"]);
    assert!(said.contains("container runs is running"), "{said}");
    let said = knarr.fails(1, &["rmi", "--dry-run", "kit"]);
    assert!(said.contains("runs") || said.contains("in use"), "{said}");
    assert_eq!(everything(), before);
}
