//! The choice of a variant, and `--explain`.

use crate::harness::Knarr;
use crate::harness::image::{Tar, busybox};

/// One image with both variants; each prints the same.
fn both() -> Knarr {
    let knarr = Knarr::new().with_kit();
    let mut tar = Tar::new();
    tar.directory("tmp", 0o1777);
    tar.file("app", 0o755, b"#!/bin/busybox sh\nshift\necho \"$@\"\n");
    tar.directory("bin", 0o755);
    let path = ["/bin/busybox", "/usr/bin/busybox"].map(std::fs::read).into_iter().flatten().next();
    tar.file("bin/busybox", 0o755, &path.unwrap());
    knarr.import("native", "linux/amd64", &[r#"ENTRYPOINT ["/app"]"#], &tar.finish());
    knarr.combine("both", &["native", "kit"]);
    knarr
}

#[test]
fn wasm_comes_first_and_explain_says_why() {
    let knarr = both();
    let ended = knarr.run(&["run", "--rm", "--explain", "both", "echo", "hi"]).code(0);
    assert_eq!(ended.stdout, "hi\n");
    for line in [
        "chosen:   wasi/wasm",
        "reason:   no platform was requested, and a Wasm variant comes first where there is one",
        "variants: linux/",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
}

#[test]
fn both_variants_of_one_index_print_the_same() {
    let knarr = both();
    let wasm = knarr.ok(&["run", "--rm", "--platform", "wasi/wasm", "both", "echo", "a", "b c"]);
    let native = knarr.ok(&["run", "--rm", "--platform", "linux", "both", "echo", "a", "b c"]);
    assert_eq!(wasm, "a b c");
    assert_eq!(wasm, native);
}

#[test]
fn a_platform_or_a_runtime_decides() {
    let knarr = both();
    for (option, value, engine) in [
        ("--platform", "wasi/wasm", "wasm"),
        ("--platform", "wasip1/wasm32", "wasm"),
        ("--platform", "linux", "native"),
        ("--runtime", "io.containerd.wasmtime.v1", "wasm"),
        ("--runtime", "io.containerd.wasmedge.v1", "wasm"),
        ("--runtime", "io.containerd.wasmer.v1", "wasm"),
        ("--runtime", "io.containerd.spin.v2", "wasm"),
        ("--runtime", "io.containerd.lunatic.v1", "wasm"),
        ("--runtime", "wasmedge", "wasm"),
        ("--runtime", "wasm", "wasm"),
        ("--runtime", "native", "native"),
        ("--runtime", "runc", "native"),
        ("--runtime", "crun", "native"),
        ("--runtime", "io.containerd.runc.v2", "native"),
    ] {
        let id = knarr.ok(&["create", option, value, "both", "echo", "x"]);
        assert_eq!(knarr.inspect(&id, "{{.Knarr.Engine}}"), engine, "{option} {value}");
        let shown = if option == "--runtime" { value } else { engine };
        assert_eq!(knarr.inspect(&id, "{{.HostConfig.Runtime}}"), shown, "{option} {value}");
    }
    for name in
        ["kata", "runsc", "WASM", "io.containerd.wasmtime", "io.containerd.kata.v2", "wasmtime.v1"]
    {
        let said = knarr.fails(125, &["create", "--runtime", name, "both", "echo"]);
        assert!(
            said.contains("native is also called runc, crun")
                && said.contains("io.containerd.wasmtime.v1"),
            "{said}"
        );
    }
    let said = knarr.fails(125, &["run", "--runtime", "wasm", "--platform", "linux", "both"]);
    assert!(said.contains("--runtime asks for Wasm and --platform for linux/"), "{said}");
}

#[test]
fn the_reason_is_kept() {
    let knarr = both();
    let id = knarr.ok(&["create", "--platform", "linux", "both", "echo"]);
    let reason = knarr.inspect(&id, "{{.Knarr.Reason}}");
    assert!(
        reason.starts_with("platform linux/") && reason.ends_with(" was requested"),
        "{reason}"
    );
}

#[test]
fn an_image_without_a_runnable_variant_says_what_there_is() {
    let knarr = Knarr::new();
    knarr.import_foreign("foreign", "linux/s390x");
    let said = knarr.fails(125, &["run", "foreign"]);
    assert!(
        said.contains("the image has linux/s390x, the machine runs wasi/wasm, linux/"),
        "{said}"
    );
    assert!(said.contains("\nhint: "), "{said}");
    let said = knarr.fails(125, &["run", "--platform", "wasi/wasm", "foreign"]);
    assert!(said.contains("it has linux/s390x"), "{said}");
}

#[test]
fn images_shows_the_variants() {
    let knarr = both();
    knarr.import("busybox", "linux/amd64", &[], &busybox());
    let shown =
        knarr.ok(&["images", "--format", "{{.Repository}} {{join .Platforms \"+\"}}", "both"]);
    assert!(shown.starts_with("both linux/") && shown.ends_with("+wasi/wasm"), "{shown}");
    let table = knarr.ok(&["images"]);
    assert!(table.starts_with("REPOSITORY   TAG       IMAGE ID       VARIANTS"), "{table}");
    assert!(table.contains("kB, wasi/wasm") || table.contains("MB, wasi/wasm"), "{table}");
}
