//! From start to removal: detached containers and the verbs on them.

use crate::harness::Knarr;
use crate::harness::proc::until;

/// A shell that says when it is ready and how it was asked to end.
const POLITE: &str = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

fn start(knarr: &Knarr, name: &str, script: &str) {
    knarr.ok(&["run", "-d", "--name", name, "busybox", "sh", "-c", script]);
    until("it is ready", || knarr.ok(&["logs", name]).contains("ready"));
}

#[test]
fn stop_asks_first() {
    let knarr = Knarr::new().with_busybox();
    start(&knarr, "web", POLITE);
    assert_eq!(knarr.ok(&["stop", "web"]), "web");
    assert_eq!(knarr.inspect("web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
    assert_eq!(knarr.ok(&["logs", "web"]), "ready\nbye");
}

#[test]
fn stop_insists_after_the_grace_period() {
    let knarr = Knarr::new().with_busybox();
    start(&knarr, "deaf", DEAF);
    let before = std::time::Instant::now();
    knarr.ok(&["stop", "-t", "1", "deaf"]);
    assert!(before.elapsed().as_millis() >= 1000);
    assert_eq!(knarr.inspect("deaf", "{{.State.ExitCode}}"), "137");
}

#[test]
fn a_container_may_choose_its_stop_signal() {
    let knarr = Knarr::new().with_busybox();
    let script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    let arguments =
        ["run", "-d", "--name", "box", "--stop-signal", "USR1", "busybox", "sh", "-c", script];
    knarr.ok(&arguments);
    until("it is ready", || knarr.ok(&["logs", "box"]).contains("ready"));
    knarr.ok(&["stop", "box"]);
    assert_eq!(knarr.ok(&["wait", "box"]), "9");
}

#[test]
fn several_are_stopped_at_once_and_each_is_told_of() {
    let knarr = Knarr::new().with_busybox();
    for name in ["one", "two", "three"] {
        start(&knarr, name, DEAF);
    }
    let before = std::time::Instant::now();
    let ended = knarr.run(&["stop", "-t", "2", "one", "nothere", "two", "three"]).code(1);
    assert!(before.elapsed().as_millis() < 4000, "one after the other");
    assert_eq!(ended.stdout, "one\ntwo\nthree\n");
    assert!(ended.stderr.contains("no container \"nothere\""), "{}", ended.stderr);
    let ended = knarr.run(&["rm", "one", "nothere", "two", "three"]).code(1);
    assert_eq!(ended.stdout, "one\ntwo\nthree\n");
}

#[test]
fn kill_sends_any_signal() {
    let knarr = Knarr::new().with_busybox();
    start(&knarr, "web", POLITE);
    knarr.ok(&["kill", "-s", "SIGTERM", "web"]);
    assert_eq!(knarr.ok(&["wait", "web"]), "3");
    start(&knarr, "other", POLITE);
    knarr.ok(&["kill", "other"]);
    assert_eq!(knarr.inspect("other", "{{.State.ExitCode}}"), "137");
    let said = knarr.fails(1, &["kill", "other"]);
    assert!(said.contains("is not running"), "{said}");
}

#[test]
fn a_stopped_wasm_container_ends_with_143_and_a_killed_one_with_137() {
    let knarr = Knarr::new().with_kit();
    for (verb, code) in [("stop", "143"), ("kill", "137")] {
        let id = knarr.ok(&["run", "-d", "kit", "log", "100000", "10"]);
        until("it runs", || knarr.ok(&["logs", &id]).contains("out 1"));
        knarr.ok(&[verb, &id]);
        assert_eq!(knarr.ok(&["wait", &id]), code, "{verb}");
    }
}

#[test]
fn a_spinning_wasm_container_can_be_stopped() {
    let knarr = Knarr::new().with_kit();
    let id = knarr.ok(&["run", "-d", "kit", "spin"]);
    knarr.ok(&["stop", "-t", "1", &id]);
    assert!(["143", "137"].contains(&knarr.ok(&["wait", &id]).as_str()));
}

#[test]
fn restart_keeps_what_the_container_wrote() {
    let knarr = Knarr::new().with_busybox();
    start(
        &knarr,
        "web",
        "echo x >> /count; echo ready; trap 'exit 0' TERM; while :; do sleep 0.05; done",
    );
    let first = knarr.inspect("web", "{{.State.Pid}}");
    knarr.ok(&["restart", "web"]);
    assert_ne!(knarr.inspect("web", "{{.State.Pid}}"), first);
    until("it wrote twice", || knarr.ok(&["exec", "web", "cat", "/count"]) == "x\nx");
    knarr.ok(&["stop", "web"]);
    assert_eq!(knarr.ok(&["start", "web"]), "web");
    until("it wrote thrice", || knarr.ok(&["exec", "web", "cat", "/count"]) == "x\nx\nx");
}

#[test]
fn wait_prints_the_exit_code() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let native = knarr.ok(&["run", "-d", "busybox", "sh", "-c", "sleep 0.2; exit 4"]);
    let wasm = knarr.ok(&["run", "-d", "kit", "exit", "5"]);
    assert_eq!(knarr.ok(&["wait", &native, &wasm]), "4\n5");
}

#[test]
fn a_detached_container_prints_its_id_and_can_be_removed_by_force() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    assert_eq!(id.len(), 64);
    let said = knarr.fails(1, &["rm", "box"]);
    assert!(said.contains("is running") && said.contains("hint: stop it first"), "{said}");
    assert_eq!(knarr.ok(&["rm", "-f", &id[..12]]), &id[..12]);
    assert!(knarr.containers().is_empty());
    knarr.assert_nothing_left(&[id].into());
}

#[test]
fn a_detached_container_with_rm_removes_itself() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["run", "-d", "--rm", "-v", "/data", "busybox", "true"]);
    until("it is gone", || knarr.containers().is_empty());
    knarr.assert_nothing_left(&[id].into());
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "");
}

#[test]
fn names_and_the_starts_of_ids_name_containers() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["create", "--name", "web", "busybox"]);
    for text in ["web", &id, &id[..12], &id[..3]] {
        assert_eq!(knarr.inspect(text, "{{.Id}}"), id);
    }
    let said = knarr.fails(1, &["create", "--name", "web", "busybox"]);
    assert!(said.contains("the name \"web\" is used"), "{said}");
    knarr.ok(&["rename", "web", "front"]);
    assert_eq!(knarr.inspect("front", "{{.Name}}"), "/front");
    knarr.fails(1, &["inspect", "web"]);
    knarr.ok(&["create", "--name", "web", "busybox"]);
}

#[test]
fn a_paused_container_stands_still() {
    let knarr = Knarr::new().with_busybox();
    start(&knarr, "box", "echo ready; while :; do echo x >> /count; done");
    assert_eq!(knarr.ok(&["pause", "box"]), "box");
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "paused");
    assert!(knarr.ok(&["ps", "--format", "{{.Status}}"]).ends_with("(Paused)"));
    knarr.ok(&["unpause", "box"]);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "running");
    let count = || knarr.ok(&["exec", "box", "wc", "-l", "/count"]);
    let before = count();
    until("it goes on", || count() != before);
}

#[test]
fn fifty_at_once() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for (image, command) in [("busybox", &["echo", "done"][..]), ("kit", &["echo", "done"])] {
        let all = [&["run", "--rm", image], command].concat();
        let children: Vec<_> =
            (0..50).map(|_| knarr.start(&all, std::process::Stdio::null())).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && output.stdout == b"done\n", "{image}: {said}");
        }
        assert!(knarr.containers().is_empty());
    }
}
