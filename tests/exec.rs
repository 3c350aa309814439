//! `exec`: a further process in a running native container.

use crate::harness::Knarr;

fn running() -> (Knarr, String) {
    let knarr = Knarr::new().with_busybox();
    let id = knarr
        .ok(&["run", "-d", "--name", "box", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000"]);
    (knarr, id)
}

#[test]
fn it_runs_inside() {
    let (knarr, _) = running();
    assert_eq!(
        knarr.ok(&["exec", "box", "sh", "-c", "pwd; echo $A; cat /proc/1/cmdline | tr '\\0' ' '"]),
        "/tmp\n1\nsleep 1000 "
    );
    let arguments =
        ["exec", "-w", "/", "-e", "A=2", "-u", "1000", "box", "sh", "-c", "pwd; echo $A; id -u"];
    assert_eq!(knarr.ok(&arguments), "/\n2\n1000");
    assert_eq!(knarr.run_with_input(&["exec", "-i", "box", "cat"], b"in\n").ok(), "in");
    let ended = knarr.run(&["exec", "box", "sh", "-c", "echo out; echo err >&2"]).code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn it_is_as_confined_as_the_container() {
    let (knarr, _) = running();
    let status = knarr.ok(&["exec", "box", "cat", "/proc/self/status"]);
    for line in ["CapEff:\t00000000a80425fb", "Seccomp:\t2"] {
        assert!(status.lines().any(|l| l == line), "{line}\n{status}");
    }
    for namespace in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        let link = format!("readlink /proc/self/ns/{namespace}; readlink /proc/1/ns/{namespace}");
        let shown = knarr.ok(&["exec", "box", "sh", "-c", &link]);
        let (own, init) = shown.split_once('\n').unwrap();
        assert_eq!(own, init);
    }
}

#[test]
fn exit_codes() {
    let (knarr, id) = running();
    for (command, code) in [
        (&["sh", "-c", "exit 9"][..], 9),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["nothere"], 127),
        (&["/etc/passwd"], 126),
        (&["-it", "sh"], 127),
    ] {
        knarr.run(&[&["exec", &id], command].concat()).code(code);
    }
    knarr.fails(126, &["exec", "-w", "/missing", "box", "true"]);
    knarr.fails(1, &["exec", "-u", "nobodyhere", "box", "true"]);
    knarr.fails(125, &["exec", "--banana", "box", "true"]);
    knarr.ok(&["pause", "box"]);
    assert!(knarr.fails(1, &["exec", "box", "true"]).contains("knarr unpause box"));
    knarr.ok(&["unpause", "box"]);
    knarr.ok(&["stop", "-t", "0", "box"]);
    let said = knarr.fails(1, &["exec", "box", "true"]);
    assert!(
        said.contains("is not running") && said.contains("hint: start it: knarr start box"),
        "{said}"
    );
}

#[test]
fn options_after_the_container_belong_to_the_command() {
    let (knarr, _) = running();
    assert_eq!(knarr.ok(&["exec", "box", "echo", "-i", "--", "-t"]), "-i -- -t");
}
