//! Both variants in one build.

use crate::harness::{Knarr, image};

const DOCKERFILE: &str = "FROM scratch AS wasi
COPY kit.wasm /
ENTRYPOINT [\"/kit.wasm\"]
FROM busybox AS linux
RUN echo for linux >/made
ENTRYPOINT [\"/bin/busybox\"]
FROM ${TARGETOS}
ENV GREETING=ahoy
CMD [\"echo\", \"the same\"]
";

fn host() -> String {
    format!("linux/{}", knarr_core::image::Platform::host().architecture)
}

#[test]
fn one_dockerfile_gives_one_image() {
    let knarr = Knarr::new().with_busybox();
    let context = knarr.context(&[]);
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("kit.wasm"), image::guest("kit.p1.wasm")).unwrap();
    let platforms = format!("wasi/wasm,{}", host());
    let said = knarr.built(DOCKERFILE, &["--platform", &platforms]);
    assert!(said.contains("linux 2/2] RUN echo for linux"), "{said}");
    for platform in ["wasi/wasm", &host()] {
        let out = knarr.ok(&["run", "--rm", "--platform", platform, "app"]);
        assert_eq!(out, "the same", "{platform}");
    }
    assert_eq!(
        knarr.ok(&["run", "--rm", "app", "env"]).lines().find(|l| l.starts_with("GREETING")),
        Some("GREETING=ahoy")
    );
    // compiled by now: the first run finds it
    let cache = knarr.root().join("wasm-cache");
    let compiled = std::fs::read_dir(cache)
        .unwrap()
        .flatten()
        .flat_map(|f| std::fs::read_dir(f.path()).unwrap().flatten());
    assert_eq!(compiled.filter(|f| f.file_name().to_string_lossy().ends_with(".cwasm")).count(), 1);
}

#[test]
fn a_module_alone_is_marked_by_itself() {
    let knarr = Knarr::new();
    let context = knarr.context(&[]);
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("kit.wasm"), image::guest("kit.p1.wasm")).unwrap();
    knarr.built("FROM scratch\nCOPY kit.wasm /\nENTRYPOINT [\"/kit.wasm\", \"echo\"]\nCMD [\"by itself\"]\n", &[]);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "by itself");
    assert_eq!(knarr.inspect("app", "{{.Os}}/{{.Architecture}}"), "wasi/wasm");
}

#[test]
fn a_module_that_wants_what_there_is_not() {
    let knarr = Knarr::new();
    // (module (import "env" "f" (func)))
    let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
    let context = knarr.context(&[]);
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("app.wasm"), module).unwrap();
    let said = knarr.built("FROM scratch\nCOPY app.wasm /\nENTRYPOINT [\"/app.wasm\"]\n", &[]);
    assert!(said.contains("warning: ") && said.contains("imports env"), "{said}");
}
