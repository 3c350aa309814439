//! The same life without the superuser's rights. Each test runs its commands as a user that exists nowhere.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use crate::command::command_of;
use crate::fixture::*;
use knarr_runtime::container::copy::{self, CopyOptions};
use knarr_runtime::container::{self, logs::LogOptions, remove::Remove, stop::Stop};
use knarr_runtime::state::Status;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

crate::tests![an_ordinary_user];

const USER: u32 = 54321;

fn an_ordinary_user() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(USER), Some(USER)).unwrap();
    let output = Command::new("/proc/self/exe")
        .args(["command", "scenario-of-a-user"])
        .env("TMPDIR", directory.path())
        .uid(USER)
        .gid(USER)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// What the user does, in a process of that user.
pub fn scenario() {
    let fixture = Fixture::new();
    for native in [false, true] {
        let create = |words: &[&str], options: RunOptions| match native {
            true => fixture.create(words, options),
            false => fixture.create_wasm(words, options),
        };
        let id = create(&["echo", "hello"], RunOptions::default());
        let output = fixture.run(&id);
        assert_eq!((stdout(&output), stderr(&output)), ("hello\n", ""));
        let sleep = if native { "1000" } else { "1000000" };
        let id = create(
            &["sleep", sleep],
            RunOptions { name: Some("web".into()), ..Default::default() },
        );
        fixture.start(&id);
        assert_eq!(fixture.load(&id).state.status, Status::Running);
        let (inside, target) = match native {
            true => ("/data/from-image", fixture.host("native")),
            false => ("/kit.wasm", fixture.host("wasm")),
        };
        let copy = |to: &std::path::Path| {
            copy::from_container(&fixture.store, &id, inside, to, CopyOptions::default())
        };
        copy(&target).unwrap_or_else(|e| panic!("{}", chain(&e)));
        if native {
            let words = ["cat", "/data/from-image"];
            let output = command_of(fixture.root(), "exec", &id, &words).output().unwrap();
            assert_eq!((stdout(&output), stderr(&output)), ("image\n", ""));
        }
        container::stop(&fixture.store, &id, &Stop { timeout: Some(1), ..Default::default() })
            .unwrap();
        assert_eq!(fixture.load(&id).state.status, Status::Exited);
        // at rest, in a process of its own, since that changes its namespaces
        let words = [inside, target.to_str().unwrap()];
        let output = command_of(fixture.root(), "copy-out", &id, &words).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        container::logs(&fixture.store, &id, &LogOptions::default(), &mut |_| Ok(())).unwrap();
        container::remove(&fixture.store, &id, Remove::default()).unwrap();
        assert!(!fixture.exists(&id));
        let options = RunOptions { auto_remove: true, ..Default::default() };
        let id = create(&["echo", "gone"], options);
        assert_eq!(stdout(&fixture.run(&id)), "gone\n");
        fixture.assert_vanishes(&id);
    }
    fixture.assert_nothing_is_left();
}
