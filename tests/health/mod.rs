//! Health checks: when and how containers are probed, and what follows.

mod connect;

use crate::harness::image::{Tar, busybox};
use crate::harness::proc::{Process, until};
use crate::harness::{Knarr, NewUser};
use jiff::Timestamp;
use serde_json::Value;

/// A container's options, its probes (failures and successes), and what each makes of it.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(char, &'a str)]);

/// Probes only when told to.
pub const BY_HAND: &str = "--health-interval=24h";
const SHORT: &str = "--health-interval=20ms";
const STATUS: &str = "{{.State.Health.Status}}";
const STREAK: &str = "{{.State.Health.Status}} {{.State.Health.FailingStreak}}";

fn health(knarr: &Knarr, name: &str) -> Value {
    serde_json::from_str(&knarr.inspect(name, "{{json .State.Health}}")).unwrap()
}

/// The last probe.
pub fn last(knarr: &Knarr, name: &str) -> Value {
    health(knarr, name)["Log"].as_array().unwrap().last().unwrap().clone()
}

fn start(knarr: &Knarr, name: &str, options: &[&str], command: &[&str]) {
    knarr.ok(&[&["run", "-d", "--name", name], options, &["busybox"], command].concat());
}

/// Probes now; whether that succeeded.
pub fn probe(knarr: &Knarr, name: &str) -> bool {
    match knarr.run(&["healthcheck", "run", name]).code {
        0 => true,
        1 => false,
        code => panic!("healthcheck run {name} ended with {code}"),
    }
}

#[test]
fn probes_change_the_state_by_dockers_rules() {
    let knarr = Knarr::new().with_busybox();
    let cases: [Case; 3] = [
        (
            "plain",
            &["--health-retries=2"],
            &[
                ('f', "starting 1"),
                ('f', "unhealthy 2"),
                ('f', "unhealthy 3"),
                ('s', "healthy 0"),
                ('f', "healthy 1"),
                ('s', "healthy 0"),
                ('f', "healthy 1"),
                ('f', "unhealthy 2"),
            ],
        ),
        (
            "period",
            &["--health-retries=1", "--health-start-period=24h", "--health-start-interval=24h"],
            &[
                ('f', "starting 0"),
                ('f', "starting 0"),
                // one success ends the start period
                ('s', "healthy 0"),
                ('f', "unhealthy 1"),
            ],
        ),
        ("default", &[], &[('f', "starting 1"), ('f', "starting 2"), ('f', "unhealthy 3")]),
    ];
    for (name, options, probes) in cases {
        let check = [BY_HAND, "--health-cmd", "test -e /ok"];
        start(&knarr, name, &[options, &check].concat(), &["sleep", "1000"]);
        assert_eq!(knarr.inspect(name, STREAK), "starting 0", "{name}");
        assert_eq!(health(&knarr, name)["Log"], Value::Array(Vec::new()));
        for (at, (outcome, expected)) in probes.iter().enumerate() {
            let to_be = if *outcome == 's' { "touch /ok" } else { "rm -f /ok" };
            knarr.ok(&["exec", name, "sh", "-c", to_be]);
            assert_eq!(probe(&knarr, name), *outcome == 's', "{name} {at}");
            assert_eq!(knarr.inspect(name, STREAK), *expected, "{name} {at}");
            let log = health(&knarr, name)["Log"].as_array().unwrap().len();
            assert_eq!(log, (at + 1).min(5), "{name} {at}");
        }
        let (status, _) = probes.last().unwrap().1.split_once(' ').unwrap();
        let shown =
            knarr.ok(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert!(shown.ends_with(&format!(" ({status})")), "{shown}");
    }
    start(&knarr, "new", &[BY_HAND, "--health-cmd", "true"], &["sleep", "1000"]);
    start(&knarr, "none", &[], &["sleep", "1000"]);
    let listed = |health: &str| {
        let filter = format!("health={health}");
        knarr.ok(&["ps", "--filter", &filter, "--format", "{{.Names}}"]).replace('\n', " ")
    };
    assert_eq!(listed("unhealthy"), "default period plain");
    assert_eq!((listed("starting"), listed("none")), ("new".into(), "none".into()));
    assert!(knarr.ok(&["ps", "--format", "{{.Status}}"]).contains("(health: starting)"));
    assert_eq!(knarr.inspect("none", "{{json .State}}").find("Health"), None);
    assert!(knarr.fails(125, &["healthcheck", "run", "none"]).contains("no health check"));
    // a new life begins anew, and remembers
    knarr.ok(&["restart", "-t", "0", "default"]);
    assert_eq!(knarr.inspect("default", STREAK), "starting 0");
    assert_eq!(health(&knarr, "default")["Log"].as_array().unwrap().len(), 3);
    knarr.ok(&["stop", "-t", "0", "default"]);
    assert_eq!(knarr.inspect("default", STATUS), "unhealthy", "nobody answers any more");
    assert!(knarr.fails(125, &["healthcheck", "run", "default"]).contains("not running"));
}

#[test]
fn probes_follow_each_other_at_intervals() {
    let knarr = Knarr::new().with_busybox();
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let milliseconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis();
    // the interval that is meant, and the one that is not
    for (name, options) in [
        (
            "interval",
            ["--health-interval=60ms", "--health-start-interval=24h", "--health-start-period=0"],
        ),
        (
            "start",
            ["--health-interval=24h", "--health-start-interval=60ms", "--health-start-period=24h"],
        ),
    ] {
        let check = ["--health-retries=100", "--health-cmd", "sleep 0.04; false"];
        start(&knarr, name, &[&options[..], &check].concat(), &["sleep", "1000"]);
        until("five probes", || health(&knarr, name)["Log"].as_array().unwrap().len() == 5);
        let health = health(&knarr, name);
        assert_eq!(health["Status"], "starting");
        assert_eq!(health["FailingStreak"] == 0, name == "start", "{health}");
        for pair in health["Log"].as_array().unwrap().windows(2) {
            // from the end of one to the beginning of the next
            assert!(milliseconds(time(&pair[0]["End"]), time(&pair[1]["Start"])) >= 60, "{health}");
            assert!(milliseconds(time(&pair[0]["Start"]), time(&pair[0]["End"])) >= 40, "{health}");
        }
    }
    start(&knarr, "first", &["--health-interval=60ms", "--health-cmd", "true"], &["sleep", "1000"]);
    assert_eq!(knarr.ok(&["wait", "--condition", "healthy", "first"]), "-1");
    let began: Timestamp = knarr.inspect("first", "{{.State.StartedAt}}").parse().unwrap();
    let log = health(&knarr, "first")["Log"].clone();
    assert!(milliseconds(began, time(&log[0]["Start"])) >= 50, "an interval comes first: {log}");
}

#[test]
fn a_probe_is_a_process_of_the_container() {
    let knarr = Knarr::new().with_busybox();
    let tests = [
        (
            "CMD-SHELL",
            "echo $0 $A; pwd; id -u; cat < /dev/stdin; echo err >&2",
            0,
            "/bin/sh a\n/tmp\n1000\nerr\n",
        ),
        ("CMD-SHELL", "printf 'a\\377b'; exit 3", 3, "a\u{fffd}b"),
        ("CMD-SHELL", "kill -9 $$", 137, ""),
        ("CMD", r#"["CMD", "echo", "a b", "c"]"#, 0, "a b c\n"),
    ];
    for (kind, line, code, output) in tests {
        let options = [BY_HAND, "-e", "A=a", "-w", "/tmp", "-u", "ana", "--health-cmd", line];
        start(&knarr, "box", &options, &["sleep", "1000"]);
        assert_eq!(knarr.inspect("box", "{{index .Config.Healthcheck.Test 0}}"), kind);
        assert_eq!(probe(&knarr, "box"), code == 0, "{line}");
        let last = last(&knarr, "box");
        assert_eq!((&last["ExitCode"], &last["Output"]), (&code.into(), &output.into()), "{line}");
        knarr.ok(&["rm", "-f", "box"]);
    }
    let confined =
        "grep -E 'CapEff|Seccomp:' /proc/self/status; cat /proc/1/cmdline | tr '\\0' ' '";
    start(&knarr, "box", &[BY_HAND, "--health-cmd", confined], &["sleep", "1000"]);
    assert!(probe(&knarr, "box"));
    let output = last(&knarr, "box")["Output"].as_str().unwrap().to_owned();
    assert_eq!(output, "CapEff:\t00000000a80425fb\nSeccomp:\t2\nsleep 1000 ");
    let much = "yes | head -c 100000";
    start(&knarr, "much", &[BY_HAND, "--health-cmd", much], &["sleep", "1000"]);
    assert!(probe(&knarr, "much"));
    assert_eq!(last(&knarr, "much")["Output"], "y\n".repeat(2048));
}

#[test]
fn what_cannot_be_executed_is_a_failure_that_says_why() {
    let knarr = Knarr::new().with_busybox();
    let mut bare = Tar::new();
    bare.file("busybox", 0o755, &busybox_program());
    knarr.import("bare", "linux/amd64", &[r#"CMD ["/busybox", "sleep", "1000"]"#], &bare.finish());
    for (image, test, said) in [
        ("bare", "true", "/bin/sh"),
        ("busybox", r#"["CMD","/nothere"]"#, "/nothere"),
        ("busybox", r#"["CMD","/etc/passwd"]"#, "/etc/passwd"),
    ] {
        let options = ["run", "-d", "--name", "box", BY_HAND, "--health-retries=1"];
        let command: &[&str] = if image == "bare" { &[] } else { &["sleep", "1000"] };
        knarr.ok(&[&options[..], &["--health-cmd", test, image], command].concat());
        assert!(!probe(&knarr, "box"));
        let last = last(&knarr, "box");
        assert_eq!(last["ExitCode"], -1);
        assert!(last["Output"].as_str().unwrap().contains(said), "{last}");
        assert_eq!(knarr.inspect("box", STATUS), "unhealthy");
        knarr.ok(&["rm", "-f", "box"]);
    }
}

fn busybox_program() -> Vec<u8> {
    let mut archive = tar::Archive::new(std::io::Cursor::new(busybox()));
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut program = entries.find(|e| e.path().unwrap().ends_with("bin/busybox")).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut program, &mut bytes).unwrap();
    bytes
}

#[test]
fn one_that_takes_too_long_is_ended_with_its_group() {
    let knarr = Knarr::new().with_busybox();
    let check = "echo begun; sleep 1234 & sleep 1234";
    let options = [BY_HAND, "--health-timeout=200ms", "--health-cmd", check];
    start(&knarr, "box", &options, &["sleep", "1000"]);
    assert!(!probe(&knarr, "box"));
    let probed = last(&knarr, "box");
    assert_eq!(probed["ExitCode"], -1);
    assert_eq!(probed["Output"], "Health check exceeded timeout (200ms): begun\n");
    until("none is left", || !knarr.ok(&["top", "box"]).contains("sleep 1234"));
}

#[test]
fn killed_probes_and_monitors_leave_nothing() {
    let knarr = Knarr::new().with_busybox();
    start(&knarr, "box", &[SHORT, "--health-cmd", "sleep 1234"], &["sleep", "1000"]);
    let probing = || {
        let processes = knarr.ok(&["top", "box", "-o", "pid,args"]);
        let line = processes.lines().find(|line| line.ends_with("sleep 1234"))?;
        Process::open(line.split_whitespace().next()?.parse().unwrap())
    };
    until("it probes", || probing().is_some());
    probing().unwrap().kill();
    until("it is told", || health(&knarr, "box")["Log"][0]["ExitCode"] == 137);
    until("it probes again", || probing().is_some());
    let process = probing().unwrap();
    let monitor = Process::open(knarr.inspect("box", "{{.Knarr.MonitorPid}}").parse().unwrap());
    let monitor = monitor.unwrap();
    monitor.kill();
    monitor.ended();
    process.ended();
    until("no process is left", || crate::harness::proc::of_root(knarr.root()).is_empty());
    assert_eq!(
        knarr.inspect("box", "{{.State.Status}} {{.State.Health.Status}}"),
        "exited unhealthy"
    );
}

#[test]
fn what_follows_when_it_is_not_healthy() {
    let knarr = Knarr::new().with_busybox();
    let state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
    // once it is up
    let failing = [SHORT, "--health-retries=1", "--health-cmd", "test ! -e /dev/shm/up"];
    let serve = "trap 'exit 7' TERM; echo life; touch /dev/shm/up; while true; do sleep 1; done";
    let trap = ["sh", "-c", serve];
    let cases: [(&str, &[&str], &str, usize); 5] = [
        ("kill", &[], "exited 137 0", 1),
        ("kill", &["--restart=on-failure:2"], "exited 137 2", 3),
        ("stop", &[], "exited 7 0", 1),
        // somebody stopped it
        ("stop", &["--restart=always"], "exited 7 0", 1),
        ("none", &[], "running 0 0", 1),
    ];
    for (action, options, expected, lives) in cases {
        let action = format!("--health-on-failure={action}");
        start(&knarr, "box", &[&failing[..], &[&action], options].concat(), &trap);
        until(&format!("{action} {options:?}"), || {
            let is_unhealthy = knarr.inspect("box", STATUS) == "unhealthy";
            is_unhealthy && knarr.inspect("box", state) == expected
        });
        assert_eq!(knarr.ok(&["logs", "box"]).lines().count(), lives, "{action} {options:?}");
        knarr.ok(&["rm", "-f", "box"]);
    }
    // without a policy too
    let action = "--health-on-failure=restart";
    start(&knarr, "box", &[&failing[..], &[action]].concat(), &trap);
    until("it is started again and again", || {
        knarr.inspect("box", "{{.RestartCount}}").parse::<u32>().unwrap() >= 2
    });
    knarr.ok(&["stop", "-t", "0", "box"]);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "exited");
    knarr.ok(&["rm", "-f", "box"]);
    start(&knarr, "box", &[BY_HAND, "--health-cmd", "true", action], &["sh", "-c", "exit 3"]);
    until("its own end is its end", || knarr.inspect("box", state) == "exited 3 0");
}

#[test]
fn one_that_is_paused_is_not_probed() {
    let knarr = Knarr::new().with_busybox();
    let check = "echo x >> /count";
    start(&knarr, "box", &[SHORT, "--health-cmd", check], &["sleep", "1000"]);
    knarr.ok(&["wait", "--condition", "healthy", "box"]);
    knarr.ok(&["pause", "box"]);
    assert_eq!(
        knarr.inspect("box", "{{.State.Status}} {{.State.Health.Status}}"),
        "paused unhealthy"
    );
    assert!(knarr.ok(&["ps", "--format", "{{.Status}}"]).ends_with(" (Paused)"));
    let before = health(&knarr, "box")["Log"].clone();
    assert!(knarr.fails(125, &["healthcheck", "run", "box"]).contains("paused"));
    assert_eq!(health(&knarr, "box")["Log"], before);
    knarr.ok(&["unpause", "box"]);
    assert_eq!(knarr.ok(&["wait", "--condition", "healthy", "box"]), "-1");
    // one that is under way counts for nothing
    start(
        &knarr,
        "slow",
        &[SHORT, "--health-cmd", "echo $$ > /begun; sleep 1234"],
        &["sleep", "1000"],
    );
    until("it probes", || knarr.run(&["exec", "slow", "test", "-s", "/begun"]).code == 0);
    let first = knarr.ok(&["exec", "slow", "cat", "/begun"]);
    knarr.ok(&["pause", "slow"]);
    knarr.ok(&["unpause", "slow"]);
    until("it probes again", || knarr.ok(&["exec", "slow", "cat", "/begun"]) != first);
    assert_eq!(health(&knarr, "slow")["Log"], Value::Array(Vec::new()));
}

#[test]
fn what_the_image_and_the_user_say() {
    let knarr = Knarr::new().with_busybox();
    let build = |name: &str, lines: &str| {
        let dockerfile = format!("FROM busybox\n{lines}\nCMD sleep 1000\n");
        knarr.run_with_input(&["build", "-q", "-t", name, "-"], dockerfile.as_bytes()).ok();
    };
    build(
        "checked",
        "HEALTHCHECK --interval=24h --timeout=2s --start-period=3s --start-interval=4s --retries=5 CMD echo a",
    );
    build("shell", "SHELL [\"/bin/sh\", \"-ec\"]\nHEALTHCHECK --interval=24h CMD false; true");
    build("off", "HEALTHCHECK NONE");
    let of = |image: &str, options: &[&str]| {
        let id = knarr.ok(&[&["create"], options, &[image]].concat());
        knarr.inspect(&id, "{{json .Config.Healthcheck}}")
    };
    let all = |test: &str, interval: u64| {
        format!(
            r#"{{"Test":{test},"Interval":{interval},"Timeout":2000000000,"StartPeriod":3000000000,"StartInterval":4000000000,"Retries":5}}"#
        )
    };
    let (test, day) = (r#"["CMD-SHELL","echo a"]"#, 86_400_000_000_000);
    assert_eq!(of("checked", &[]), all(test, day));
    assert_eq!(of("checked", &["--health-cmd", "b"]), all(r#"["CMD-SHELL","b"]"#, day));
    assert_eq!(
        of("checked", &["--health-interval=1m30s", "--health-retries=0"]),
        all(test, 90_000_000_000)
    );
    assert_eq!(of("checked", &["--no-healthcheck"]), all(r#"["NONE"]"#, day));
    assert_eq!(of("off", &[]), r#"{"Test":["NONE"]}"#);
    assert_eq!(of("busybox", &["--health-cmd=x"]), r#"{"Test":["CMD-SHELL","x"]}"#);
    for options in [&["--no-healthcheck"][..], &["--health-cmd=x", "--no-healthcheck=false"]] {
        let id = knarr.ok(&[&["run", "-d"], options, &["checked"]].concat());
        assert_eq!(knarr.inspect(&id, "{{json .State}}").contains("Health"), options.len() == 2);
    }
    // the image's shell, and its words
    knarr.ok(&["run", "-d", "--name", "shell", "shell"]);
    assert!(!probe(&knarr, "shell"));
    for (options, said) in [
        (&["--health-interval=-1s"][..], "--health-interval cannot be negative"),
        (&["--health-timeout", "-1s"], "--health-timeout cannot be negative"),
        (&["--health-retries=-1"], "--health-retries cannot be negative"),
        (&["--health-start-period=1us"], "less than 1ms"),
        (&["--health-start-interval=5"], "\"5\" is not a value"),
        (&["--health-cmd=x", "--no-healthcheck"], "--no-healthcheck conflicts"),
        (&["--health-retries=1", "--no-healthcheck"], "--no-healthcheck conflicts"),
        (&["--health-on-failure=kill"], "it has no health check"),
        (&["--health-on-failure=kill", "--no-healthcheck"], "it has no health check"),
        (&["--health-on-failure=x"], "x"),
        (&["--rm", "--health-cmd=x", "--health-on-failure=restart"], "--health-on-failure restart"),
        (&["--health-cmd=http://web:80/"], "is not a health check"),
        (&["--health-cmd=tcp://localhost"], "is not a health check"),
    ] {
        for verb in ["create", "run"] {
            let ended = knarr.run(&[&[verb], options, &["busybox", "true"]].concat());
            assert!(
                ended.code != 0 && ended.stderr.contains(said),
                "{verb} {options:?}: {ended:?}"
            );
        }
    }
}

#[test]
fn whoever_waits_is_told() {
    let knarr = Knarr::new().with_busybox();
    start(
        &knarr,
        "box",
        &[BY_HAND, "--health-retries=1", "--health-cmd", "test -e /ok"],
        &["sleep", "1000"],
    );
    let waiting: Vec<_> = ["healthy", "unhealthy"]
        .map(|condition| {
            let wait = ["wait", "--condition", condition, "box"];
            knarr.start(&wait, std::process::Stdio::null())
        })
        .into();
    for (child, succeeds) in waiting.into_iter().rev().zip([false, true]) {
        if succeeds {
            knarr.ok(&["exec", "box", "touch", "/ok"]);
        }
        assert_eq!(probe(&knarr, "box"), succeeds);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), "-1\n");
    }
    // one that ends was not healthy
    start(&knarr, "short", &[BY_HAND, "--health-cmd", "true"], &["sh", "-c", "exit 3"]);
    let said = knarr.fails(1, &["wait", "--condition", "healthy", "short"]);
    assert!(said.contains("ended with 3"), "{said}");
    let none = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    assert!(knarr.fails(1, &["wait", "--condition=healthy", &none]).contains("no health check"));
}

#[test]
fn an_ordinary_users_containers_too() {
    for user in [NewUser::new(), NewUser::alone()] {
        let knarr = Knarr::of_user(user.0.clone()).with_busybox();
        let check = "id -u; test -e /ok";
        for network in ["bridge", "none", "host"] {
            let options = [BY_HAND, "--network", network, "--health-cmd", check];
            start(&knarr, network, &options, &["sleep", "1000"]);
            assert!(!probe(&knarr, network));
            assert_eq!(last(&knarr, network)["Output"], "0\n");
            knarr.ok(&["exec", network, "touch", "/ok"]);
            assert!(probe(&knarr, network), "{network}");
            assert_eq!(knarr.inspect(network, STATUS), "healthy");
        }
    }
}
