//! Verbs on containers, judged by their records, their output and what is left.

use crate::command::command_of;
use crate::fixture::*;
use knarr_core::spec::Limits;
use knarr_runtime::container::logs::LogOptions;
use knarr_runtime::container::{self, stop::Stop};
use knarr_runtime::state::Status;

crate::tests![
    foreground_run,
    foreground_run_of_wasm,
    streams_and_log,
    exit_codes,
    detached_life,
    removal_at_the_end,
    executing,
    following_the_log,
    out_of_memory,
    limits_of_wasm,
];

fn foreground_run() {
    let fixture = Fixture::new();
    let id = fixture.create(&["echo", "hello"], RunOptions::default());
    let output = fixture.run(&id);
    assert_eq!((stdout(&output), stderr(&output)), ("hello\n", ""));
    assert!(output.status.success());
    let container = fixture.load(&id);
    assert_eq!(container.state.status, Status::Exited);
    assert_eq!(container.state.exit.unwrap().code, 0);
    assert_eq!(log(&fixture, &id), ["stdout:hello\n"]);
    fixture.assert_nothing_is_left();
    assert!(cgroups_of(&id).is_empty());
}

fn foreground_run_of_wasm() {
    let fixture = Fixture::new();
    let id = fixture.create_wasm(&["echo", "hello"], RunOptions::default());
    let output = fixture.run(&id);
    assert_eq!((stdout(&output), stderr(&output)), ("hello\n", ""));
    assert_eq!(log(&fixture, &id), ["stdout:hello\n"]);
    fixture.assert_nothing_is_left();
}

fn streams_and_log() {
    let fixture = Fixture::new();
    let script = "echo out; echo err >&2; cat; printf end";
    let options = RunOptions { interactive: true, ..Default::default() };
    let id = fixture.create(&["sh", "-c", script], options);
    let mut child = fixture
        .command("run", &id)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((stdout(&output), stderr(&output)), ("out\ntyped\nend", "err\n"));
    // two streams are two pipes: no order between them is promised
    let (stdout, stderr): (Vec<_>, Vec<_>) =
        log(&fixture, &id).into_iter().partition(|line| line.starts_with("stdout:"));
    assert_eq!(stdout, ["stdout:out\n", "stdout:typed\n", "stdout:end"]);
    assert_eq!(stderr, ["stderr:err\n"]);
}

fn exit_codes() {
    let fixture = Fixture::new();
    let code = |command: &[&str]| {
        let id = fixture.create(command, RunOptions::default());
        (fixture.run(&id).status.code().unwrap(), fixture.load(&id).state)
    };
    assert_eq!(code(&["sh", "-c", "exit 7"]).0, 7);
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]).1.exit.unwrap().code, 0, "init ignores it");
    let (missing, state) = code(&["no-such-program"]);
    assert_eq!((missing, state.status), (127, Status::Created));
    let exit = state.exit.unwrap();
    assert_eq!(exit.code, 127);
    assert!(exit.error.unwrap().contains("no-such-program"));
    assert_eq!(code(&["/etc/passwd"]).0, 126);
}

fn detached_life() {
    let fixture = Fixture::new();
    let script = "trap 'exit 5' TERM; echo up; while true; do sleep 1 & wait; done";
    let id = fixture.create(&["sh", "-c", script], RunOptions::default());
    fixture.start(&id);
    let state = fixture.load(&id).state;
    assert_eq!(state.status, Status::Running);
    assert!(state.pid.is_some());
    fixture.start(&id); // is started already
    container::pause(&fixture.store, &id).unwrap();
    assert_eq!(fixture.load(&id).state.status, Status::Paused);
    container::unpause(&fixture.store, &id).unwrap();
    container::stop(&fixture.store, &id, &Stop::default()).unwrap();
    let state = fixture.load(&id).state;
    assert_eq!((state.status, state.exit.unwrap().code), (Status::Exited, 5));
    assert_eq!(container::wait(&fixture.store, &id).unwrap(), 5);
    fixture.assert_nothing_is_left();
    fixture.start(&id);
    container::kill(&fixture.store, &id, "KILL").unwrap();
    assert_eq!(container::wait(&fixture.store, &id).unwrap(), 137);
    container::remove(&fixture.store, &id, Default::default()).unwrap();
    assert!(!fixture.exists(&id));
    fixture.assert_nothing_is_left();
}

fn removal_at_the_end() {
    let fixture = Fixture::new();
    let options = RunOptions { auto_remove: true, name: Some("web".into()), ..Default::default() };
    let config = r#"{"config":{"Env":["PATH=/bin"],"Volumes":{"/data":{}}}}"#;
    let id = fixture.create_with(config, &["cat", "/data/from-image"], options).unwrap();
    let output = fixture.run(&id);
    assert_eq!((stdout(&output), stderr(&output)), ("image\n", ""));
    fixture.assert_vanishes(&id);
    let names = knarr_core::fsx::list(&fixture.root().container_names()).unwrap();
    assert!(names.is_empty(), "{names:?}");
    assert!(knarr_core::fsx::list(&fixture.root().volumes()).unwrap().is_empty());
    fixture.assert_nothing_is_left();
}

fn idle(fixture: &Fixture) -> knarr_core::id::ContainerId {
    let id = fixture.create(&["sleep", "1000"], RunOptions::default());
    fixture.start(&id);
    id
}

fn executing() {
    let fixture = Fixture::new();
    let id = idle(&fixture);
    let exec = |words: &[&str]| command_of(fixture.root(), "exec", &id, words).output().unwrap();
    let output = exec(&["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((stdout(&output), stderr(&output)), ("out\n", "err\n"));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(exec(&["nowhere"]).status.code(), Some(127));
    assert_eq!(exec(&["/etc"]).status.code(), Some(126));
    // apart, without anybody who looks
    let execution = knarr_runtime::monitor::Execution {
        args: vec!["touch".into(), "/tmp/made".into()],
        ..Default::default()
    };
    container::exec_detached(&fixture.store, &id, &execution).unwrap();
    let made = fixture.root().container(&id).upper().join("tmp/made");
    wait_until(|| made.exists());
    let error = knarr_runtime::monitor::Execution { args: vec!["nowhere".into()], ..execution };
    let error = container::exec_detached(&fixture.store, &id, &error).unwrap_err();
    assert_eq!(error.exit_code(), 127, "{}", chain(&error));
    container::kill(&fixture.store, &id, "9").unwrap();
    assert!(stderr(&exec(&["true"])).contains("is not running"));
}

fn following_the_log() {
    let fixture = Fixture::new();
    let script = "for i in $(seq 200); do echo line $i; done; echo error >&2";
    let options = RunOptions {
        log: Some(knarr_core::spec::LogConfig { max_size: 2000, max_files: 50 }),
        ..Default::default()
    };
    let id = fixture.create(&["sh", "-c", script], options);
    fixture.start(&id);
    let mut lines = Vec::new();
    let follow = LogOptions { follow: true, stderr: false, ..Default::default() };
    container::logs(&fixture.store, &id, &follow, &mut |entry| {
        lines.push(entry.text.clone());
        Ok(())
    })
    .unwrap();
    let expected: Vec<String> = (1..=200).map(|n| format!("line {n}\n")).collect();
    assert_eq!(lines, expected);
    let mut tail = Vec::new();
    let last = LogOptions { tail: Some(3), ..Default::default() };
    container::logs(&fixture.store, &id, &last, &mut |entry| {
        tail.push(entry.text.clone());
        Ok(())
    })
    .unwrap();
    assert_eq!(tail.len(), 3);
    assert!(tail.contains(&"line 200\n".into()), "{tail:?}");
}

fn out_of_memory() {
    let fixture = Fixture::new();
    let limits =
        Limits { memory: Some(16 << 20), memory_swap: Some(16 << 20), ..Default::default() };
    let script = "x=$(yes | head -c 100000000); echo $x";
    let options = RunOptions { limits, ..Default::default() };
    let id = fixture.create(&["sh", "-c", script], options);
    fixture.run(&id);
    assert!(fixture.load(&id).state.exit.unwrap().oom_killed);
}

fn limits_of_wasm() {
    let fixture = Fixture::new();
    let limits = Limits { nano_cpus: Some(500_000_000), ..Default::default() };
    let id =
        fixture.create_wasm(&["sleep", "1000000"], RunOptions { limits, ..Default::default() });
    fixture.start(&id);
    assert!(!cgroups_of(&id).is_empty());
    container::pause(&fixture.store, &id).unwrap();
    container::unpause(&fixture.store, &id).unwrap();
    container::kill(&fixture.store, &id, "KILL").unwrap();
    assert!(cgroups_of(&id).is_empty());
    assert_eq!(fixture.load(&id).state.exit.unwrap().code, 137);
}
