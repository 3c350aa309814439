//! After `kill -9` of a monitor or of the command, listings tell the truth and nothing is left.

use crate::harness::Knarr;
use crate::harness::proc::{Process, of_root, until};
use std::process::Stdio;

fn monitor_of(knarr: &Knarr, container: &str) -> Process {
    let id = knarr.inspect(container, "{{.Knarr.MonitorPid}}").parse().unwrap();
    Process::open(id).unwrap()
}

fn images(knarr: Knarr) -> Knarr {
    knarr.with_busybox().with_kit()
}

const COMMANDS: [(&str, &[&str]); 2] =
    [("busybox", &["sleep", "1000"]), ("kit", &["log", "100000", "10"])];

#[test]
fn the_guest_dies_with_its_monitor_and_ps_says_so() {
    let knarr = images(Knarr::new());
    for (image, command) in COMMANDS {
        let id = knarr.ok(&[&["run", "-d", "--memory", "64m", image], command].concat());
        let guest = knarr.inspect(&id, "{{.State.Pid}}").parse().unwrap();
        let guest = Process::open(guest).unwrap();
        let monitor = monitor_of(&knarr, &id);
        monitor.kill();
        monitor.ended();
        guest.ended();
        assert_eq!(knarr.ok(&["ps", "-q"]), "", "{image}");
        assert_eq!(knarr.inspect(&id, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
        assert!(knarr.inspect(&id, "{{.State.Error}}").contains("monitor was killed"));
        // it can be started again
        knarr.ok(&["start", &id]);
        assert_eq!(knarr.inspect(&id, "{{.State.Status}}"), "running");
        knarr.ok(&["rm", "-f", &id]);
    }
}

#[test]
fn a_killed_foreground_command_takes_its_container_with_it() {
    let knarr = images(Knarr::new());
    for (image, command) in COMMANDS {
        let all = [&["run", "--name", image, image], command].concat();
        let mut child = knarr.start(&all, Stdio::null());
        until("it runs", || knarr.ok(&["ps", "--format", "{{.Names}}"]) == image);
        child.kill().unwrap();
        child.wait().unwrap();
        until("only the record is left", || of_root(knarr.root()).is_empty());
        assert_eq!(knarr.inspect(image, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    }
}

#[test]
fn a_killed_foreground_command_with_rm_leaves_nothing() {
    let knarr = images(Knarr::new());
    for (image, command) in COMMANDS {
        let all = [&["run", "--rm", "--name", image, image], command].concat();
        let mut child = knarr.start(&all, Stdio::null());
        until("it runs", || knarr.ok(&["ps", "--format", "{{.Names}}"]) == image);
        let id = knarr.ok(&["ps", "-q", "--no-trunc"]);
        child.kill().unwrap();
        child.wait().unwrap();
        until("it is gone", || knarr.ok(&["ps", "-aq"]).is_empty());
        knarr.assert_nothing_left(&[id].into());
    }
}

#[test]
fn a_command_that_starts_a_detached_container_may_be_killed_at_any_time() {
    let knarr = images(Knarr::new());
    for delay in [0, 1, 2, 4, 8, 16, 32, 64] {
        let mut child = knarr.start(&["run", "-d", "busybox", "sleep", "1000"], Stdio::null());
        // somewhere in the middle of its work: any moment will do
        let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: delay * 1_000_000 };
        rustix::event::poll(&mut [], Some(&moment)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // whatever there is now is listed, and can be removed
    for id in knarr.containers() {
        knarr.ok(&["rm", "-f", &id]);
    }
    assert!(knarr.containers().is_empty());
}

#[test]
fn signals_of_the_terminal_reach_the_container() {
    let knarr = Knarr::new().with_busybox();
    let script = "trap 'echo asked; exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let all = ["run", "--name", "box", "busybox", "sh", "-c", script];
    let child = knarr.start(&all, Stdio::null());
    until("it is ready", || {
        let ended = knarr.run(&["logs", "box"]);
        ended.stdout.contains("ready")
    });
    Process::open(child.id() as i32).unwrap().signal(rustix::process::Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, b"ready\nasked\n");
}

#[test]
fn a_command_killed_before_its_container_began_leaves_none() {
    let knarr = images(Knarr::new());
    // it waits for the volume, which somebody else seems to make
    let volume = knarr.root().join("volumes/data");
    std::fs::create_dir_all(&volume).unwrap();
    let lock = std::fs::File::create(volume.join("lock")).unwrap();
    lock.lock().unwrap();
    for image in ["busybox", "kit"] {
        for detach in ["--detach", "--detach=false"] {
            let run = ["run", detach, "--rm", "--name", "going", "-v", "data:/data", image];
            let mut child = knarr.start(&run, Stdio::null());
            until("it is made", || knarr.run(&["inspect", "going"]).code == 0);
            assert_eq!(knarr.inspect("going", "{{.State.Status}}"), "created");
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(knarr.ok(&["ps", "-aq"]), "");
            assert!(knarr.containers().is_empty());
        }
    }
    // one that is only made waits for its start
    drop(lock);
    let id = knarr.ok(&["create", "--rm", "busybox", "true"]);
    assert_eq!(knarr.inspect(&id, "{{.State.Status}}"), "created");
    knarr.ok(&["start", "-a", &id]);
    assert!(knarr.containers().is_empty());
}

#[test]
fn a_monitor_that_is_stopped_holds_nobody_up() {
    let knarr = images(Knarr::new());
    let mut waiting = Vec::new();
    for verb in [&["stop", "-t", "0"][..], &["rm", "-f"], &["kill"], &["rm"]] {
        for (image, command) in COMMANDS {
            let id = knarr.ok(&[&["run", "-d", image], command].concat());
            let guest: i32 = knarr.inspect(&id, "{{.State.Pid}}").parse().unwrap();
            let monitor = monitor_of(&knarr, &id);
            monitor.signal(rustix::process::Signal::STOP);
            assert_eq!(knarr.inspect(&id, "{{.State.Status}}"), "running");
            assert!(knarr.ok(&["ps", "-q", "--no-trunc"]).contains(&id));
            let child = knarr.start(&[verb, &[&id]].concat(), Stdio::null());
            waiting.push((verb, id, child, Process::open(guest).unwrap(), monitor));
        }
    }
    for (verb, id, mut child, guest, monitor) in waiting {
        let status = child.wait().unwrap();
        if verb == ["rm"] {
            assert_eq!(status.code(), Some(1), "it runs");
            monitor.kill();
            knarr.ok(&["rm", &id]);
            continue;
        }
        assert!(status.success(), "{verb:?}");
        guest.ended();
        match verb[0] {
            "rm" => assert!(!knarr.containers().contains(&id)),
            _ => assert_eq!(knarr.inspect(&id, "{{.State.Status}}"), "exited"),
        }
    }
}
