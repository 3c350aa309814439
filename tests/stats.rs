//! `top` and `stats`: what a running container consists of, and what it uses.

use crate::harness::Knarr;
use crate::harness::proc::until;

#[test]
fn the_processes_of_both_kinds_of_container() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let script = "sleep 1000 & sleep 2000; true";
    knarr.ok(&["run", "-d", "--name", "box", "-u", "54321", "busybox", "sh", "-c", script]);
    until("all three run", || knarr.ok(&["top", "box"]).lines().count() == 4);
    let shown = knarr.ok(&["top", "box"]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let first = words(shown.lines().nth(1).unwrap());
    assert_eq!(first[0], "54321", "{shown}");
    assert_eq!(first[1], knarr.inspect("box", "{{.State.Pid}}"));
    assert!(shown.contains("sleep 1000") && shown.contains("sleep 2000"), "{shown}");
    assert_eq!(knarr.ok(&["top", "box", "-o", "pid,args"]).lines().count(), 4);
    let said = knarr.fails(1, &["top", "box", "-o", "comm"]);
    assert!(said.contains("no column PID"), "{said}");
    knarr.ok(&["run", "-d", "--name", "wasm", "kit", "log", "100000", "10"]);
    // what was started, not how
    let shown = knarr.ok(&["top", "wasm"]);
    assert_eq!(shown.lines().count(), 2);
    let first = words(shown.lines().nth(1).unwrap());
    assert_eq!(
        (&*first[0], &*first[7..].join(" ")),
        ("root", "/kit.wasm log 100000 10"),
        "{shown}"
    );
    assert!(knarr.ok(&["top", "wasm", "-o", "pid,args"]).ends_with(" /kit.wasm log 100000 10"));
    knarr.ok(&["stop", "-t", "0", "box"]);
    let said = knarr.fails(1, &["top", "box"]);
    assert!(said.contains("container box is not running"), "{said}");
}

#[test]
fn what_they_use() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let spin = ["sh", "-c", "while :; do :; done"];
    let run = ["run", "-d", "--name", "busy", "--memory", "64m", "--cpus", "0.2", "busybox"];
    knarr.ok(&[&run[..], &spin].concat());
    knarr.ok(&["run", "-d", "--name", "wasm", "--memory", "32m", "kit", "log", "100000", "10"]);
    knarr.ok(&["create", "--name", "idle", "busybox"]);
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}";
    let shown = knarr.ok(&["stats", "--no-stream", "--format", format]);
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(lines.iter().map(|l| l[0]).collect::<Vec<_>>(), ["wasm", "busy"]);
    assert!(lines[0][2].ends_with(" / 32MiB") && lines[1][2].ends_with(" / 64MiB"), "{shown}");
    assert_eq!(lines[1][3], "1");
    let cpu: f64 = lines[1][1].trim_end_matches('%').parse().unwrap();
    assert!((1.0..40.0).contains(&cpu), "{shown}");
    assert!(!lines[0][2].starts_with("0B") && !lines[0][2].starts_with("--"), "{shown}");
    let all = knarr.ok(&["stats", "--no-stream", "-a", "--format", "{{.Name}} {{.CPUPerc}}"]);
    assert!(all.lines().any(|line| line == "idle --"), "{all}");
    let table = knarr.ok(&["stats", "--no-stream", "busy"]);
    assert!(table.starts_with("CONTAINER ID   NAME      CPU %"), "{table}");
    assert!(knarr.fails(1, &["stats", "--no-stream", "nobody"]).contains("no container"));
}
