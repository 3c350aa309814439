//! `logs`: what a container printed.

use crate::harness::Knarr;
use crate::harness::proc::until;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn both_streams_come_back_in_order_and_apart() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&[
        "run",
        "--name",
        "native",
        "-d",
        "busybox",
        "sh",
        "-c",
        "echo a; echo b >&2; printf c",
    ]);
    knarr.ok(&["wait", "native"]);
    let ended = knarr.run(&["logs", "native"]).code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("a\nc", "b\n"));
    knarr.ok(&["run", "--name", "wasm", "-d", "kit", "log", "3", "0"]);
    knarr.ok(&["wait", "wasm"]);
    let ended = knarr.run(&["logs", "wasm"]).code(0);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("out 0\nout 1\nout 2\n", "err 0\nerr 1\nerr 2\n")
    );
}

#[test]
fn a_foreground_run_is_logged_as_well() {
    let knarr = Knarr::new().with_busybox();
    assert_eq!(knarr.ok(&["run", "--name", "box", "busybox", "echo", "hi"]), "hi");
    assert_eq!(knarr.ok(&["logs", "box"]), "hi");
}

#[test]
fn tail_timestamps_since() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "--name", "box", "busybox", "seq", "5"]);
    assert_eq!(knarr.ok(&["logs", "--tail", "2", "box"]), "4\n5");
    assert_eq!(knarr.ok(&["logs", "-n", "0", "box"]), "");
    assert_eq!(knarr.ok(&["logs", "--tail", "all", "box"]), "1\n2\n3\n4\n5");
    let stamped = knarr.ok(&["logs", "-t", "--tail", "1", "box"]);
    let (time, line) = stamped.split_once(' ').unwrap();
    assert_eq!(line, "5");
    let time: jiff::Timestamp = time.parse().unwrap();
    assert!(jiff::Timestamp::now().as_second() - time.as_second() < 60);
    assert_eq!(knarr.ok(&["logs", "--since", "1h", "box"]), "1\n2\n3\n4\n5");
    let later = jiff::Timestamp::from_second(time.as_second() + 3600).unwrap().to_string();
    assert_eq!(knarr.ok(&["logs", "--since", &later, "box"]), "");
    assert_eq!(knarr.ok(&["logs", "--until", "1h", "box"]), "");
}

#[test]
fn times_and_characters_are_whole() {
    let knarr = Knarr::new().with_busybox();
    let script = "head -c 16383 /dev/zero | tr '\\0' x; printf 'éé€\\n'; printf '\\377end\\n'";
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sh", "-c", script]);
    knarr.ok(&["wait", "box"]);
    let logged = knarr.ok(&["logs", "box"]);
    assert_eq!(logged, format!("{}éé€\n\u{fffd}end", "x".repeat(16383)));
    let day = logged_day();
    for since in [format!("{day}Z"), format!("{day}T00Z"), format!("{day}T00:00+00:00")] {
        assert_eq!(knarr.ok(&["logs", "--since", &since, "box"]), logged, "{since}");
        assert_eq!(knarr.ok(&["logs", "--until", &since, "box"]), "", "{since}");
    }
}

/// Yesterday, wherever on earth.
fn logged_day() -> String {
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(36);
    yesterday.strftime("%Y-%m-%d").to_string()
}

#[test]
fn follow_goes_on_until_the_end() {
    let knarr = Knarr::new().with_busybox();
    let script = "echo first; while [ ! -e /go ]; do sleep 0.02; done; echo second";
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sh", "-c", script]);
    let mut child = knarr.start(&["logs", "-f", "box"], Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    // the container may end before this does, and takes it along
    knarr.run(&["exec", "box", "touch", "/go"]);
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_log_is_rotated_and_read_as_one() {
    let knarr = Knarr::new().with_busybox();
    let options = ["--log-opt", "max-size=64k", "--log-opt", "max-file=2"];
    let all = [&["run", "--name", "box"], &options[..], &["busybox", "seq", "20000"]].concat();
    knarr.ok(&all);
    let kept = knarr.ok(&["logs", "box"]);
    assert!(kept.ends_with("\n20000") && !kept.starts_with("1\n"), "{}", kept.len());
    let numbers: Vec<u32> = kept.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "--name", "box", "busybox", "seq", "100000"]);
    let mut child = knarr.start(&["logs", "box"], Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    until("nothing hangs", || true);
}
