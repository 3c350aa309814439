//! `--allow-outbound` of native containers.

use crate::fixture::*;
use crate::host::{self, OUTSIDE, ask, heard, serve};
use crate::on;
use crate::reach::{OUT, address, idle, inside};
use knarr_core::spec::{NetworkMode, Outbound, Security};
use std::process::Stdio;

crate::tests![what_is_not_listed_is_refused, names_are_learnt, what_could_not_be_kept_up];

fn only(list: &[(&str, Option<u16>)]) -> RunOptions {
    let one = |(host, port): &(&str, Option<u16>)| Outbound { host: (*host).into(), port: *port };
    RunOptions { outbound: Some(list.iter().map(one).collect()), ..on(&["bridge"]) }
}

fn what_is_not_listed_is_refused() {
    host::become_host();
    host::shell("mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    let fixture = Fixture::new();
    let neighbour = idle(&fixture, on(&["bridge"]));
    let at = address(&fixture, &neighbour, "bridge").to_string();
    let _servers = [
        serve(OUT, OUTSIDE, 80),
        serve(OUT, OUTSIDE, 81),
        serve(&inside(&fixture, &neighbour), "0.0.0.0", 80),
    ];
    let id = idle(&fixture, only(&[("198.51.100.0/24", Some(80))]));
    let own = inside(&fixture, &id);
    heard(&own, OUTSIDE, 80);
    assert!(!ask(&own, OUTSIDE, 81).status.success());
    assert!(!ask(&own, &at, 80).status.success(), "a neighbour is not listed either");
    // once, however often it is tried
    assert!(!ask(&own, OUTSIDE, 81).status.success());
    let line =
        |to: &str| format!("stderr:knarr: tcp to {to}: access denied by the container's network\n");
    let expected = [line(&format!("{OUTSIDE}:81")), line(&format!("{at}:80"))];
    wait_until(|| log(&fixture, &id).len() >= 2);
    assert_eq!(log(&fixture, &id), expected);
    // programs of the container itself are told so (nc asks by connect(2))
    let connect = |to: &str, port: &str| {
        let words = ["/bin/busybox", "nc", to, port];
        fixture.command("exec", &id).args(words).stdin(Stdio::null()).output().unwrap()
    };
    for (to, port) in
        [(OUTSIDE, "81"), (&at, "80"), ("::ffff:192.0.2.1", "80"), ("2001:db8::1", "80")]
    {
        for _ in 0..2 {
            let said = connect(to, port);
            assert!(stderr(&said).contains("Permission denied"), "{to}: {}", stderr(&said));
        }
    }
    assert!(connect(OUTSIDE, "80").status.success());
    let more = [line("192.0.2.1:80"), line("[2001:db8::1]:80")];
    let expected = [&expected[..], &more].concat();
    wait_until(|| log(&fixture, &id).len() >= 4);
    assert_eq!(log(&fixture, &id), expected);
    let first = ["/bin/busybox", "nc", OUTSIDE, "81"];
    let first = fixture.run(&fixture.create(&first, only(&[("192.0.2.1", None)])));
    assert!(stderr(&first).contains("Permission denied"), "{}", stderr(&first));
    // and it is reached as before
    let _server = serve(&own, "0.0.0.0", 80);
    heard("", &address(&fixture, &id, "bridge").to_string(), 80);
    heard(&own, "127.0.0.1", 80);
}

fn names_are_learnt() {
    host::become_host();
    host::shell("mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    let fixture = Fixture::new();
    let web = idle(&fixture, RunOptions { name: Some("web".into()), ..on(&["bridge"]) });
    let _server = serve(&inside(&fixture, &web), "0.0.0.0", 80);
    let id = idle(&fixture, only(&[("web", Some(80))]));
    let at = address(&fixture, &web, "bridge").to_string();
    let own = inside(&fixture, &id);
    assert!(!ask(&own, &at, 80).status.success(), "nobody has asked for the name");
    let script = ["/bin/busybox", "nc", "web", "80"];
    let output = fixture.command("exec", &id).args(script).output().unwrap();
    assert_eq!(stdout(&output).trim(), address(&fixture, &id, "bridge").to_string());
    heard(&own, &at, 80);
    assert!(!ask(&own, &at, 81).status.success());
    let output = fixture.command("exec", &id).args(["/bin/busybox", "nc", &at, "81"]).output();
    assert!(stderr(&output.unwrap()).contains("Permission denied"));
}

fn what_could_not_be_kept_up() {
    host::become_host();
    let fixture = Fixture::new();
    let config = r#"{"config":{"Env":["PATH=/bin"]}}"#;
    let refused = |options: RunOptions| {
        let error = fixture.create_with(config, &["true"], options).unwrap_err();
        assert!(chain(&error).contains("--allow-outbound"), "{}", chain(&error));
    };
    let list = || only(&[("192.0.2.1", None)]);
    let security = Security { cap_add: vec!["NET_ADMIN".into()], ..Default::default() };
    refused(RunOptions { security, ..list() });
    refused(RunOptions { network: Some(NetworkMode::Host), ..list() });
}
