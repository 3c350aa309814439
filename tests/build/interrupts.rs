//! Builds that are cut short.

use crate::harness::{Knarr, proc};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

const DOCKERFILE: &str = "FROM busybox\nRUN echo once >/once\nRUN sleep 1000 & echo it runs; trap '' INT TERM; sleep 1000\n";

/// A build whose last step runs.
fn under_way(knarr: &Knarr) -> (Child, impl Iterator<Item = String>) {
    let context = knarr.context(&[("Dockerfile", DOCKERFILE)]);
    let words = ["build", "-t", "app", "--progress=plain", context.to_str().unwrap()];
    let mut child = knarr.start(&words, Stdio::null());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("it runs")));
    (child, lines)
}

fn assert_clean(knarr: &Knarr) {
    proc::until("no process is left", || proc::of_root(knarr.root()).is_empty());
    assert_eq!(proc::mounts_under(knarr.root()), Vec::<String>::new());
    knarr.assert_no_step_left();
    // and the next one is none the wiser
    let said = knarr.built("FROM busybox\nRUN echo once >/once\nRUN cat /once\n", &[]);
    assert!(said.contains("CACHED") && said.contains("once"), "{said}");
}

#[test]
fn by_the_user() {
    let knarr = Knarr::new().with_busybox();
    let (mut child, lines) = under_way(&knarr);
    proc::Process::open(child.id() as i32).unwrap().signal(rustix::process::Signal::INT);
    let said: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.contains("error: the build was stopped")), "{said:?}");
    assert_clean(&knarr);
}

#[test]
fn by_the_kernel() {
    let knarr = Knarr::new().with_busybox();
    let (mut child, _lines) = under_way(&knarr);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_clean(&knarr);
}
