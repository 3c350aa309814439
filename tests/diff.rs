//! `diff`: what a container has changed of its image's files.

use crate::harness::Knarr;
use crate::harness::image::{Tar, guest};
use crate::harness::proc::until;

#[test]
fn of_both_kinds_of_container() {
    let knarr = Knarr::new().with_busybox();
    let mut tar = Tar::new();
    for folder in ["old/", "old/inner/", "kept/", "tmp/"] {
        tar.directory(folder, 0o755);
    }
    for file in ["old/gone", "old/inner/gone", "kept/file", "etc-file"] {
        tar.file(file, 0o644, b"before");
    }
    tar.file("kit.wasm", 0o755, &guest("kit.p1.wasm"));
    knarr.import("files", "wasi/wasm", &["ENTRYPOINT [\"/kit.wasm\"]"], &tar.finish());
    knarr.ok(&["create", "--name", "wasm", "files", "log", "100000", "100"]);
    assert_eq!(knarr.ok(&["diff", "wasm"]), "");
    knarr.ok(&["start", "wasm"]);
    knarr.ok(&["exec", "wasm", "/kit.wasm", "write", "/tmp/new", "x"]);
    knarr.ok(&["exec", "wasm", "/kit.wasm", "write", "/kept/file", "x"]);
    let expected = "C /kept\nC /kept/file\nC /tmp\nA /tmp/new";
    let without_kept = expected.replace("C /kept\n", "");
    let changed = knarr.ok(&["container", "diff", "wasm"]);
    // a file that is written in place leaves its directory as it is
    assert!(changed == expected || changed == without_kept, "{changed}");

    let dockerfile = "FROM busybox\nRUN mkdir -p /old/inner /kept && \
        touch /old/gone /old/inner/gone /kept/file /kept/mode /file\n";
    let folder = knarr.file("Dockerfile", dockerfile);
    let folder = folder.parent().unwrap().to_str().unwrap();
    knarr.ok(&["build", "-q", "-t", "tree", folder]);
    let script = "rm -r /old && mkdir /old && echo a > /old/new && echo a > /kept/file && \
        chmod 600 /kept/mode && rm /file && mkdir /file && mkdir -p /a/b && ln -s x /a/link; \
        touch /done; sleep 1000";
    let options = ["run", "-d", "--name", "native", "-v", "vol:/vol", "tree", "sh", "-c", script];
    knarr.ok(&options);
    let expected = [
        "A /a",
        "A /a/b",
        "A /a/link",
        "A /done",
        "C /file",
        "C /kept",
        "C /kept/file",
        "C /kept/mode",
        "C /old",
        "D /old/gone",
        "D /old/inner",
        "A /old/new",
        "A /vol",
    ];
    until("it has changed its files", || knarr.ok(&["diff", "native"]).contains("/done"));
    // overlayfs makes no difference where only what is in a directory has changed its content
    let shown = |name: &str| -> Vec<String> {
        let text = knarr.ok(&["diff", name]);
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(shown("native"), expected);
    knarr.ok(&["stop", "-t", "0", "native"]);
    assert_eq!(shown("native"), expected);
    assert!(knarr.fails(1, &["diff", "nobody"]).contains("no container"));
}
