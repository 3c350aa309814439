//! Restart policies.

use crate::harness::Knarr;
use crate::harness::proc::{Process, until};

#[test]
fn on_failure_tries_as_often_as_it_may() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for (image, command) in
        [("busybox", ["sh", "-c", "echo x; exit 3"]), ("kit", ["exit", "3", ""])]
    {
        let run = ["run", "-d", "--name", image, "--restart", "on-failure:2", image];
        knarr.ok(&[&run[..], &command].concat());
        let state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
        until("it has given up", || knarr.inspect(image, state) == "exited 3 2");
    }
    assert_eq!(knarr.ok(&["logs", "busybox"]), "x\nx\nx");
    let policy = knarr.inspect("busybox", "{{json .HostConfig.RestartPolicy}}");
    assert_eq!(policy, r#"{"Name":"on-failure","MaximumRetryCount":2}"#);
    // by hand it counts anew
    knarr.ok(&["start", "busybox"]);
    until("it has given up", || knarr.ok(&["logs", "busybox"]).lines().count() == 6);
}

#[test]
fn success_is_no_failure() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "box", "--restart", "on-failure", "busybox", "true"]);
    until("it has ended", || knarr.inspect("box", "{{.State.Status}}") == "exited");
    assert_eq!(knarr.inspect("box", "{{.RestartCount}}"), "0");
}

#[test]
fn always_until_it_is_stopped() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let commands = [
        ("always", ["kit", "log", "100000", "10"].as_slice()),
        ("unless-stopped", &["busybox", "sleep", "1000"]),
    ];
    for (policy, command) in commands {
        let run = ["run", "-d", "--name", policy, "--restart", policy];
        knarr.ok(&[&run[..], command].concat());
        // whoever kills the guest, or even the monitor, finds it running again
        for template in ["{{.State.Pid}}", "{{.Knarr.MonitorPid}}"] {
            let id = knarr.inspect(policy, "{{.State.Pid}}");
            Process::open(knarr.inspect(policy, template).parse().unwrap()).unwrap().kill();
            until("it runs again", || {
                let now = knarr.inspect(policy, "{{.State.Status}} {{.State.Pid}}");
                now.starts_with("running") && now != format!("running {id}")
            });
        }
        assert_eq!(knarr.inspect(policy, "{{.RestartCount}}"), "2");
        // as Docker has it: the stop signal stops it for good, whoever sends it
        match policy {
            "always" => knarr.ok(&["kill", "-s", "TERM", policy]),
            _ => knarr.ok(&["stop", "-t", "0", policy]),
        };
        until("it ends", || knarr.inspect(policy, "{{.State.Status}}") == "exited");
        let of_root = || crate::harness::proc::of_root(knarr.root()).is_empty();
        until("nobody is left who could start it", of_root);
        assert_eq!(knarr.inspect(policy, "{{.State.Status}}"), "exited");
    }
}

#[test]
fn one_that_waits_for_its_restart_can_be_stopped_and_removed() {
    let knarr = Knarr::new().with_busybox();
    let waiting = |name: &str| {
        knarr.ok(&["run", "-d", "--name", name, "--restart", "always", "busybox", "false"]);
        let state = || knarr.inspect(name, "{{.State.Status}} {{.RestartCount}}");
        // the waits become longer
        until("it waits", || {
            let state = state();
            let (status, count) = state.split_once(' ').unwrap();
            status == "restarting" && count.parse::<u32>().unwrap() > 2
        });
    };
    waiting("one");
    assert!(knarr.ok(&["ps", "--format", "{{.Status}}"]).starts_with("Restarting (1) "));
    knarr.ok(&["stop", "one"]);
    assert_eq!(knarr.inspect("one", "{{.State.Status}} {{.State.Restarting}}"), "exited false");
    waiting("two");
    knarr.ok(&["rm", "-f", "two"]);
    assert_eq!(knarr.ok(&["ps", "-aq", "-f", "name=two"]), "");
}

#[test]
fn a_container_that_cannot_start_is_not_tried_again() {
    let knarr = Knarr::new().with_busybox();
    let run = ["run", "-d", "--name", "box", "--restart", "always", "busybox", "/not/there"];
    assert!(knarr.fails(127, &run).contains("does not exist"));
    let of_root = || crate::harness::proc::of_root(knarr.root()).is_empty();
    until("nobody tries", of_root);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "created");
}

#[test]
fn what_is_to_run_is_started_with_the_machine() {
    let knarr = Knarr::new().with_busybox();
    for policy in ["no", "on-failure", "always", "unless-stopped"] {
        let create = ["create", "--name", policy, "--restart", policy, "busybox", "sleep", "1000"];
        knarr.ok(&create);
    }
    let start = |filter: &str| {
        let names = knarr.ok(&["start", "--all", "--filter", filter]);
        let running = knarr.ok(&["ps", "--format", "{{.Names}}"]);
        knarr.ok(&["stop", "-t", "0", "always"]);
        (names, running)
    };
    assert_eq!(start("restart-policy=always"), ("always".into(), "always".into()));
    assert_eq!(
        start("should-start-on-boot=true"),
        ("always\nunless-stopped".into(), "unless-stopped\nalways".into())
    );
    knarr.ok(&["stop", "-t", "0", "unless-stopped"]);
    assert_eq!(start("should-start-on-boot=true"), ("always".into(), "always".into()));
    let said = knarr.fails(1, &["start", "--all", "--filter", "restart-policy=never"]);
    assert!(said.contains("the policies are no, always"), "{said}");
    knarr.fails(2, &["start", "--all", "always"]);
    knarr.fails(2, &["start"]);
}
