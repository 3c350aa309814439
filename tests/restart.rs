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

/// Starts one that ends at once, again and again; the waits become longer.
fn waiting(knarr: &Knarr, name: &str, image: &[&str]) {
    let run = ["run", "-d", "--name", name, "--restart", "always"];
    knarr.ok(&[&run[..], image].concat());
    until("it waits", || {
        let state = knarr.inspect(name, "{{.State.Status}} {{.RestartCount}}");
        let (status, count) = state.split_once(' ').unwrap();
        assert_ne!(status, "exited", "it is never at rest");
        status == "restarting" && count.parse::<u32>().unwrap() > 3
    });
}

#[test]
fn one_that_waits_for_its_restart_can_be_ended() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let (native, wasm): (&[&str], &[&str]) = (&["busybox", "false"], &["kit", "exit", "1"]);
    for (name, image, end) in [
        ("one", native, &["stop"][..]),
        ("two", wasm, &["kill"]),
        ("three", native, &["kill", "-s", "TERM"]),
        ("four", native, &["kill", "-s", "USR1"]),
        ("five", wasm, &["stop", "-t", "0"]),
    ] {
        waiting(&knarr, name, image);
        if name == "one" {
            assert!(knarr.ok(&["ps", "--format", "{{.Status}}"]).starts_with("Restarting (1) "));
        }
        assert_eq!(knarr.ok(&[end, &[name]].concat()), name);
        let state = "{{.State.Status}} {{.State.Restarting}} {{.State.Running}}";
        assert_eq!(knarr.inspect(name, state), "exited false false", "{end:?}");
        let of_root = || crate::harness::proc::of_root(knarr.root()).is_empty();
        until("nobody is left who could start it", of_root);
        // by hand it goes on as before
        knarr.ok(&["start", name]);
        knarr.ok(&["rm", "-f", name]);
        assert_eq!(knarr.ok(&["ps", "-aq"]), "");
    }
}

#[test]
fn what_wants_a_guest_is_told_that_there_is_none_between_two_lives() {
    let knarr = Knarr::new().with_busybox();
    waiting(&knarr, "box", &["busybox", "sh", "-c", "echo life; exit 1"]);
    for line in ["pause box", "unpause box", "exec box true", "attach box", "top box", "rm box"] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = knarr.fails(1, &words);
        assert!(said.contains("container box is restarting"), "{line}: {said}");
        assert!(said.contains("knarr stop box"), "{line}: {said}");
    }
    knarr.ok(&["rename", "box", "crate"]);
    assert_eq!(knarr.ok(&["port", "crate"]), "");
    assert_eq!(knarr.ok(&["start", "crate"]), "crate");
    assert!(knarr.ok(&["ps", "--format", "{{.Names}} {{.State}}"]).contains("crate restarting"));
    assert!(knarr.ok(&["stats", "--no-stream", "--format", "{{.Name}}"]).contains("crate"));
    let (there, back) = (knarr.file("in.txt", "hello"), knarr.files().join("out.txt"));
    knarr.ok(&["cp", there.to_str().unwrap(), "crate:/root/in.txt"]);
    knarr.ok(&["cp", "crate:/root/in.txt", back.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(back).unwrap(), "hello");
    // the next life's end
    assert_eq!(knarr.ok(&["wait", "crate"]), "1");
    assert_eq!(knarr.ok(&["restart", "-t", "0", "crate"]), "crate");
    knarr.ok(&["rm", "-f", "crate"]);
}

/// Whoever comes at any moment, also at the end of a life before anybody waits, ends it for good.
#[test]
fn no_moment_escapes_an_end() {
    let knarr = Knarr::new().with_busybox();
    for (round, end) in
        ["stop", "kill", "stop", "kill", "stop", "stop", "kill", "stop"].into_iter().enumerate()
    {
        let run = ["run", "-d", "--name", "box", "--restart", "always", "busybox"];
        knarr.ok(&[&run[..], &["sh", "-c", "echo life; exit 1"]].concat());
        // moments that differ: after so many looks at it
        for _ in 0..round {
            assert_ne!(knarr.inspect("box", "{{.State.Status}}"), "exited");
        }
        knarr.ok(&[end, "box"]);
        let lives = knarr.ok(&["logs", "box"]);
        assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "exited");
        let of_root = || crate::harness::proc::of_root(knarr.root()).is_empty();
        until("nobody is left who could start it", of_root);
        assert_eq!(knarr.ok(&["logs", "box"]), lives);
        knarr.ok(&["rm", "box"]);
    }
}

#[test]
fn a_container_that_cannot_start_is_not_tried_again() {
    let knarr = Knarr::new().with_busybox();
    let run = ["run", "-d", "--name", "box", "--restart", "always", "busybox", "/not/there"];
    assert!(knarr.fails(127, &run).contains("does not exist"));
    let of_root = || crate::harness::proc::of_root(knarr.root()).is_empty();
    until("nobody tries", of_root);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "created");
    let said = knarr.fails(127, &["run", "-d", "--name", "other", "busybox", "/not/there"]);
    assert!(
        said.contains("hint: the container other is left as created; remove it: knarr rm other")
    );
    knarr.ok(&["rm", "other"]);
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
    knarr.fails(1, &["start", "--all", "always"]);
    knarr.fails(1, &["start"]);
}
