//! `knarr package`

use crate::harness::{Knarr, image};

#[test]
fn a_module_and_a_program_under_one_name() {
    let knarr = Knarr::new();
    let module = knarr.file("kit.wasm", image::guest("kit.p1.wasm"));
    let program = "/bin/busybox";
    let said = knarr.run(&[
        "package",
        module.to_str().unwrap(),
        "-t",
        "app",
        "-t",
        "app:1.0",
        "--linux",
        program,
        "--env",
        "A=b",
        "--cmd",
        "echo 'the same'",
        "--label",
        "x=y",
        "--expose",
        "80",
        "--workdir",
        "/tmp",
    ]);
    assert!(said.stderr.contains("app:1.0: wasi/wasm, linux/"), "{}", said.stderr);
    let id = said.ok();
    assert_eq!(knarr.ok(&["images", "-q", "--no-trunc", "app:1.0"]), id);
    let host = format!("linux/{}", knarr_core::image::Platform::host().architecture);
    for platform in ["wasi/wasm", &host] {
        assert_eq!(knarr.ok(&["run", "--rm", "--platform", platform, "app"]), "the same");
    }
    assert_eq!(knarr.inspect("app", "{{.Config.Labels.x}} {{.Config.Env}}"), "y [A=b]");
}

#[test]
fn mistakes() {
    let knarr = Knarr::new();
    let module = knarr.file("kit.wasm", image::guest("kit.p1.wasm"));
    let module = module.to_str().unwrap();
    for (words, said, hint) in [
        (&["/bin/busybox", "-t", "a"][..], "is not a Wasm module", "--linux"),
        (&[module, "-t", "a", "--linux", module], "is neither a program", "folder"),
        (&[module, "-t", "a", "--linux", "mars=/bin/busybox"], "mars", "amd64"),
        (&[module, "-t", "a", "--linux-entrypoint", "x"], "no Linux variant", "--linux PATH"),
        (&[module, "-t", "a", "--cmd", "[1]"], "not a JSON list", "[\"a\",\"b\"]"),
        (&[module, "-t", "a", "-w", "x"], "not an absolute path", "write /x"),
    ] {
        let ended = knarr.run(&[&["package"], words].concat());
        assert!(ended.code == 1 || ended.code == 2, "{words:?}: {ended:?}");
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains(hint),
            "{words:?}: {}",
            ended.stderr
        );
    }
    assert_eq!(knarr.ok(&["images", "-q"]), "");
}
