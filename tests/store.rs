//! The store from outside: what archives come in, what is shown of them, what is left of the dead, what only reads.

use crate::harness::image::{Tar, busybox};
use crate::harness::{Ended, Knarr};
use std::io::Write;
use std::process::{Command, Stdio};

/// The input compressed by a program.
fn compressed(program: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}: apt-get install bzip2 xz-utils zstd"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

#[test]
fn archives_come_compressed_in_every_way() {
    let knarr = Knarr::new().with_busybox();
    let saved = knarr.files().join("saved.tar");
    knarr.ok(&["save", "-o", saved.to_str().unwrap(), "busybox"]);
    let (saved, rootfs) = (std::fs::read(saved).unwrap(), busybox());
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let archive = knarr.file(&format!("saved.{program}"), compressed(program, &saved));
        knarr.ok(&["rmi", "busybox"]);
        knarr.ok(&["load", "-i", archive.to_str().unwrap()]);
        let name = format!("imported-{program}");
        let changes = ["--change", r#"CMD ["echo", "hello"]"#];
        let words = [&["import"], &changes[..], &["-", &name]].concat();
        knarr.run_with_input(&words, &compressed(program, &rootfs)).ok();
        assert_eq!(knarr.ok(&["run", "--rm", "--network", "none", &name]), "hello", "{program}");
        // and into a volume
        knarr.file("volume.tar", compressed(program, &rootfs));
        let file = knarr.files().join("volume.tar");
        knarr.ok(&["volume", "import", &format!("v-{program}"), file.to_str().unwrap()]);
    }
}

#[test]
fn nothing_from_outside_is_printed_raw() {
    let knarr = Knarr::new().with_busybox();
    let evil = "\u{1b}[31mred\u{9b}2J\r\u{202e}";
    let changes = [
        format!("LABEL x={evil}"),
        format!(r#"CMD ["echo", "{evil}"]"#).replace('\u{1b}', "\\u001b").replace('\r', "\\r"),
        format!("ENV A={evil}"),
    ];
    let mut words = vec!["import", "-m", evil];
    words.extend(changes.iter().flat_map(|change| ["--change", change]));
    words.extend(["-", "evil:1"]);
    knarr.run_with_input(&words, &busybox()).ok();
    knarr.ok(&["create", "--name", "evil", "evil:1"]);
    let mut tar = Tar::new();
    tar.file(evil, 0o644, b"x");
    let archive = knarr.file("evil.tar", tar.finish());
    let clean = |shown: Ended| {
        for text in [&shown.stdout, &shown.stderr] {
            let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
            assert!(!text.contains(is_obeyed), "{text:?}");
        }
    };
    for words in [
        &["images", "--format", "{{.Repository}} {{.Labels}}"][..],
        &["images", "--format", "json"],
        &["history", "--no-trunc", "evil:1"],
        &["inspect", "evil:1"],
        &["inspect", "-f", "{{json .Config}}", "evil:1"],
        &["inspect", "-f", "{{.Config.Env}}", "evil:1"],
        &["inspect", "evil"],
        &["ps", "-a", "--no-trunc"],
        &["ps", "-a", "--format", "{{.Labels}} {{.Command}}"],
        &["load", "-i", archive.to_str().unwrap()],
        &["run", evil],
        &["rmi", evil],
        &["system", "df", "-v"],
    ] {
        clean(knarr.run(words));
    }
    // what a program reads is still what it was
    let shown = knarr.ok(&["inspect", "-f", "{{json .Config.Labels}}", "evil:1"]);
    let labels: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(labels["x"].as_str().unwrap().contains('\u{9b}'));
}

#[test]
fn what_the_dead_left_is_swept_by_the_next_and_counted_by_a_prune() {
    let knarr = Knarr::new().with_busybox();
    let layers = knarr.root().join("layers");
    let incoming = knarr.root().join("incoming");
    let leave = || {
        let folder = layers.join(format!("{}.incomplete-0123", "a".repeat(64)));
        std::fs::create_dir_all(folder.join("fs")).unwrap();
        std::fs::write(folder.join("lock"), b"").unwrap();
        std::fs::write(folder.join("fs/large"), vec![7; 3_000_000]).unwrap();
        std::fs::write(layers.join(format!("{}.lock", "a".repeat(64))), b"").unwrap();
        std::fs::write(incoming.join(".tmp-dead"), vec![7; 1_000_000]).unwrap();
        folder
    };
    let folder = leave();
    let tar = knarr.file("x.tar", Tar::new().finish());
    knarr.ok(&["import", tar.to_str().unwrap(), "x:1"]);
    assert!(!folder.exists() && !incoming.join(".tmp-dead").exists());
    let folder = leave();
    // somebody lives
    let lock = std::fs::File::open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    knarr.ok(&["import", tar.to_str().unwrap(), "x:2"]);
    assert!(folder.exists());
    drop(lock);
    // a download that broke off is kept for the next attempt, until somebody wants room
    leave();
    let partial = incoming.join(format!("{}.partial", "b".repeat(64)));
    std::fs::write(&partial, vec![7; 2_000_000]).unwrap();
    knarr.ok(&["import", tar.to_str().unwrap(), "x:3"]);
    knarr.ok(&["rmi", "x:1"]);
    knarr.ok(&["builder", "prune", "-af"]);
    assert!(partial.exists());
    leave();
    let said = knarr.ok(&["image", "prune", "-f"]);
    assert!(said.ends_with("Total reclaimed space: 6MB") || said.contains(": 6.0"), "{said}");
    let left = |folder: &std::path::Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!(left(&incoming), 0);
    let names = std::fs::read_dir(&layers).unwrap().map(|e| e.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.len() == 64));
}

#[test]
fn names_stand_for_what_they_do_in_docker() {
    let knarr = Knarr::new().with_busybox();
    for tag in ["a/b:1", "a/b:2", "a/bc:1"] {
        knarr.ok(&["tag", "busybox", tag]);
    }
    let file = knarr.files().join("x.tar");
    let loaded = |name: &str| {
        knarr.ok(&["save", "-o", file.to_str().unwrap(), name]);
        let other = Knarr::new();
        other.ok(&["load", "-i", file.to_str().unwrap()])
    };
    assert_eq!(loaded("a/b"), "Loaded image: a/b:1\nLoaded image: a/b:2");
    assert_eq!(loaded("a/b:2"), "Loaded image: a/b:2");
    let id = knarr.ok(&["inspect", "-f", "{{.Id}}", "busybox"]);
    assert_eq!(loaded(&id), format!("Loaded image ID: {id}"));
    assert_eq!(loaded(&id[7..19]), format!("Loaded image ID: {id}"));
    knarr.fails(1, &["save", "-o", file.to_str().unwrap(), "a/nothing"]);
}

#[test]
fn a_tag_beside_a_digest_is_not_shown() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["inspect", "-f", "{{.Id}}", "busybox"]);
    let host = crate::harness::registry::serve(knarr.root());
    knarr.ok(&["rmi", "busybox"]);
    let name = format!("{host}/busybox:nonexistent@{id}");
    knarr.ok(&["pull", "-q", &name]);
    let shown = knarr.ok(&["images", "--format", "{{.Repository}} {{.Tag}}"]);
    assert_eq!(shown, format!("{host}/busybox <none>"));
    assert_eq!(knarr.ok(&["inspect", "-f", "{{.RepoTags}}", &name]), "[]");
    assert_eq!(knarr.ok(&["run", "--rm", "--network", "none", &name, "echo", "x"]), "x");
    knarr.ok(&["rmi", &name]);
}

#[test]
fn import_takes_a_health_check() {
    let knarr = Knarr::new();
    let changes = ["HEALTHCHECK --interval=5s CMD true".to_owned(), r#"CMD ["sh"]"#.to_owned()];
    let mut words = vec!["import"];
    words.extend(changes.iter().flat_map(|change| ["--change", change]));
    words.extend(["-", "x:1"]);
    knarr.run_with_input(&words, &busybox()).ok();
    let health = knarr.ok(&["inspect", "-f", "{{json .Config.Healthcheck}}", "x:1"]);
    assert_eq!(health, r#"{"Interval":5000000000,"Test":["CMD-SHELL","true"]}"#);
}

#[test]
fn what_only_reads_works_on_a_file_system_that_takes_no_changes() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["volume", "create", "data"]);
    knarr.ok(&["run", "--name", "box", "-v", "data:/data", "busybox", "echo", "said"]);
    knarr.ok(&["network", "create", "back"]);
    let read_only = |words: &str| {
        let program = env!("CARGO_BIN_EXE_knarr");
        let root = knarr.root().display();
        let script = format!(
            "mount --bind {root} {root} && mount -o remount,bind,ro {root} && exec {program} {words}"
        );
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env("KNARR_ROOT", knarr.root())
            .env("HOME", knarr.files())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{words}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(read_only("ps -a").contains("box"));
    assert!(read_only("images").contains("busybox"));
    assert_eq!(read_only("logs box"), "said\n");
    assert!(read_only("system df").contains("Local Volumes"));
    assert!(read_only("network ls").contains("back"));
    assert_eq!(read_only("volume ls -q"), "data\n");
    for words in [
        "inspect box",
        "image inspect busybox",
        "volume inspect data",
        "network inspect back",
        "info",
        "version",
        "history busybox",
        "save busybox",
        "system df -v",
        "builder du",
        "ps -as",
        "port box",
        "container ls",
        "inspect busybox",
        "ps -q",
    ] {
        read_only(words);
    }
}

#[test]
fn records_of_what_must_come_back_are_on_disk() {
    let knarr = Knarr::new().with_busybox();
    let synced = |words: &[&str]| {
        let log = knarr.files().join("strace");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-y",
            "-o",
            log.to_str().unwrap(),
            "-e",
            "trace=fsync,fdatasync,syncfs",
        ]);
        command.arg(env!("CARGO_BIN_EXE_knarr")).args(words).env("KNARR_ROOT", knarr.root());
        let output = command.output().expect("strace is missing: apt-get install strace");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(log).unwrap()
    };
    assert!(synced(&["volume", "create", "data"]).contains("volumes/data"));
    assert!(synced(&["network", "create", "back"]).contains("networks/back"));
    let create = ["create", "--name", "box", "--restart", "always", "--network", "back", "busybox"];
    let log = synced(&create);
    assert!(log.contains("containers/by-name"), "{log}");
    assert!(log.contains("networks/back/endpoints"), "{log}");
    assert!(log.contains("/spec.json"), "{log}");
    // a plain start pays nothing
    let log = synced(&["run", "--rm", "--network", "back", "-v", "data:/data", "busybox", "true"]);
    assert!(!log.contains("sync("), "{log}");
}
