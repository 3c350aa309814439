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
    let answered =
        |text: &str| text.contains("GREETING=ahoy\n") && text.contains("\nacross the sea\n");
    let (_, wasi) = shown.split_once("== wasi/wasm\n").unwrap();
    let (wasi, linux) = wasi.split_once("== linux/").unwrap();
    assert!(answered(wasi) && answered(linux), "{shown}");
}

#[test]
fn from_source() {
    let shown = run("from-source");
    assert!(shown.ends_with("ahoy, from WebAssembly!\nahoy, from Linux!\n"), "{shown}");
}

/// Each line of the walk in the README succeeds when it is typed, in the order of the page.
#[test]
fn the_readmes_walk() {
    let knarr = Knarr::new();
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let place = knarr.files().join("clone");
    std::fs::create_dir_all(place.join("bin")).unwrap();
    for (name, target) in [
        ("examples", project.join("examples")),
        ("tests", project.join("tests")),
        ("bin/knarr", PathBuf::from(env!("CARGO_BIN_EXE_knarr"))),
    ] {
        std::os::unix::fs::symlink(target, place.join(name)).unwrap();
    }
    let readme = std::fs::read_to_string(project.join("README.md")).unwrap();
    let (_, walk) = readme.split_once("```console\n").unwrap();
    let (walk, _) = walk.split_once("```").unwrap();
    let lines: Vec<_> = walk.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(lines.len() > 15, "{walk}");
    let path = format!("{}:{}", place.join("bin").display(), std::env::var("PATH").unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for line in lines {
        let line = line.replace("8080:8080", &format!("{port}:8080"));
        let line = line.replace("localhost:8080", &format!("localhost:{port}"));
        let ended = Command::new("sh")
            .args(["-c", &line])
            .current_dir(&place)
            .env("PATH", &path)
            .env("KNARR_ROOT", knarr.root())
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{line}: {said}");
    }
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
    assert_eq!(names, ["both-shores", "files", "from-source", "http-service"]);
}
