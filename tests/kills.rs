//! `kill -9` again and again, of commands and of monitors: no image, volume or container is lost, and nothing is left.
//!
//! `KNARR_KILL_ROUNDS` says how often; the default is for every day.

use crate::harness::proc::{Process, until};
use crate::harness::{Knarr, image, registry};
use std::path::Path;
use std::process::Stdio;

const ROUNDS: usize = 60;

#[test]
fn nothing_is_lost_and_nothing_is_left() {
    let rounds = std::env::var("KNARR_KILL_ROUNDS").ok().and_then(|text| text.parse().ok());
    let knarr = Knarr::new().with_busybox().with_kit();
    // what must be there in the end
    knarr.ok(&["create", "--name", "kept", "-v", "kept:/data", "busybox", "cat", "/data/x"]);
    knarr.ok(&["run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo kept >/data/x"]);
    let large = layer();
    knarr.import("large", "linux/amd64", &[], &large);
    let archive = knarr.files().join("large.tar");
    knarr.ok(&["save", "-o", archive.to_str().unwrap(), "large"]);
    let served = registry::serve(knarr.root());
    knarr.ok(&["rmi", "large"]);
    let context = knarr.context(&[
        ("Dockerfile", "FROM busybox\nARG ROUND\nCOPY file /f\nRUN echo $ROUND >/g && cat /f /g\n"),
        ("file", "content"),
    ]);
    let pulled = format!("{served}/large:1");
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let argument = format!("ROUND={round}");
        let command: &[&str] = match round % 8 {
            0 => &["pull", &pulled],
            1 => &["load", "-i", archive.to_str().unwrap()],
            2 => &["build", "-q", "--build-arg", &argument, context.to_str().unwrap()],
            3 => &["run", "--rm", "-v", "kept:/data", "busybox", "sleep", "0.02"],
            4 => &["run", "-d", "--memory", "64m", "busybox", "sleep", "1000"],
            5 => &["run", "-d", "kit", "log", "100000", "10"],
            6 => &["builder", "prune", "-af"],
            _ => &["image", "prune", "-f"],
        };
        let mut child = knarr.start(command, Stdio::null());
        // each command at other moments in each turn: 0 to 250 ms
        let delay = (round / 8 * 37 + round % 8 * 5) % 250;
        let moment = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(delay).unwrap() * 1_000_000,
        };
        rustix::event::poll(&mut [], Some(&moment)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // and a monitor, the command that removes, or both
        let running = knarr.ok(&["ps", "-q", "--no-trunc"]);
        for id in running.lines() {
            if round % 3 != 0 {
                let monitor = knarr.run(&["inspect", "-f", "{{.Knarr.MonitorPid}}", id]);
                if let Some(monitor) = monitor.stdout.trim().parse().ok().and_then(Process::open) {
                    monitor.kill();
                    monitor.ended();
                }
            } else {
                let mut child = knarr.start(&["rm", "-f", id], Stdio::null());
                rustix::event::poll(&mut [], Some(&moment)).unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
            }
        }
    }
    // everything works, and is what it was
    assert_eq!(knarr.ok(&["start", "-a", "kept"]), "kept");
    knarr.ok(&["run", "--rm", "kit", "args", "a"]);
    knarr.ok(&["pull", "-q", &pulled]);
    knarr.ok(&["load", "-q", "-i", archive.to_str().unwrap()]);
    knarr.ok(&["rmi", &pulled, "large"]);
    let others = knarr.containers();
    let kept = knarr.inspect("kept", "{{.ID}}");
    let others: Vec<&str> = others.iter().map(String::as_str).filter(|id| *id != kept).collect();
    if !others.is_empty() {
        knarr.ok(&[&["rm", "-f"], &others[..]].concat());
    }
    knarr.ok(&["builder", "prune", "-af"]);
    knarr.ok(&["system", "prune", "-f"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "kept");
    let mut names = knarr.ok(&["images", "--format", "{{.Repository}}"]);
    names = names.lines().filter(|name| !name.contains("none")).collect::<Vec<_>>().join(" ");
    assert!(names.contains("busybox") && names.contains("kit"), "{names}");
    // what a killed start leaves among a network's endpoints goes with the network
    if knarr.run(&["network", "inspect", "bridge"]).code == 0 {
        knarr.ok(&["network", "rm", "-f", "bridge"]);
    }
    until("the steps' folders are gone", || left(&knarr.root().join("run/steps")).is_empty());
    let left = left(knarr.root());
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(std::fs::read_dir(knarr.root().join("incoming")).unwrap().count(), 0);
}

/// Eight megabytes in two hundred files.
fn layer() -> Vec<u8> {
    let mut tar = image::Tar::new();
    for number in 0u32..200 {
        let content: Vec<u8> = (0..40_000u32)
            .map(|at| (at.wrapping_mul(2_654_435_761 + number) >> 13) as u8)
            .collect();
        tar.file(&format!("file-{number}"), 0o644, &content);
    }
    tar.finish()
}

/// Files and folders whose names say that somebody had not finished.
fn left(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap_or_default();
        let is_unfinished = [".tmp-", ".incomplete-", ".removed-", ".partial", "context-"];
        let is_lock = name.ends_with(".lock") && name.len() > 60;
        if is_lock || is_unfinished.iter().any(|mark| name.contains(mark)) {
            found.push(entry.path().display().to_string());
        }
        // what is in layers and containers is not ours to judge
        if entry.file_type().unwrap().is_dir() && !["fs", "upper", "_data"].contains(&&*name) {
            found.extend(left(&entry.path()));
        }
    }
    found
}
