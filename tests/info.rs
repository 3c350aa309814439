//! `info` and `version`.

use crate::harness::Knarr;

#[test]
fn info_tells_what_this_host_allows() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["create", "busybox"]);
    let text = knarr.ok(&["info"]);
    for line in [
        "Containers: 1",
        " Stopped: 1",
        "Images: 1",
        "Overlay: yes",
        "Seccomp: yes",
        "Rootless: no",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.contains("Runs: wasi/wasm, linux/") && text.contains("Landlock: "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&knarr.ok(&["info", "-f", "json"])).unwrap();
    assert_eq!(json["Containers"], 1);
    let shown = knarr.ok(&["info", "-f", "{{.OSType}} {{.ServerVersion}} {{.DockerRootDir}}"]);
    assert!(
        shown.starts_with("linux ") && shown.ends_with(knarr.root().to_str().unwrap()),
        "{shown}"
    );
}

#[test]
fn version_has_dockers_fields() {
    let knarr = Knarr::new();
    let version = knarr.ok(&["version", "--format", "{{.Server.Version}}"]);
    assert_eq!(knarr.ok(&["--version"]), format!("knarr {version}"));
    assert_eq!(knarr.ok(&["version", "-f", "{{.Client.Os}}"]), "linux");
}
