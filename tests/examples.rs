//! Each project of `examples/` runs as its folder says.

use crate::harness::Knarr;
use std::path::PathBuf;
use std::process::Command;

#[track_caller]
fn run(name: &str) -> String {
    let knarr = Knarr::new();
    let script =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("run.sh");
    let output = Command::new(&script)
        .env("KNARR", env!("CARGO_BIN_EXE_knarr"))
        .env("KNARR_ROOT", knarr.root())
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", script.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn files() {
    assert_eq!(run("files").matches("the first container was here").count(), 2);
}

#[test]
fn http_service() {
    let shown = run("http-service");
    assert!(shown.contains("GREETING=ahoy") && shown.ends_with("exited 0\n"), "{shown}");
}

#[test]
fn both_shores() {
    let shown = run("both-shores");
    let answers = "GREETING=ahoy\nacross the sea\n";
    let (_, wasi) = shown.split_once("== wasi/wasm\n").unwrap();
    let (wasi, linux) = wasi.split_once("== linux/").unwrap();
    assert!(wasi.contains(answers) && linux.contains(answers), "{shown}");
}

/// A folder without a test is not an example.
#[test]
fn every_example_has_a_test() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["both-shores", "files", "http-service"]);
}
