//! What is left after `kill -9` at every step, and that the next command puts it right.

use crate::command::command_of;
use crate::fixture::*;
use knarr_core::id::ContainerId;
use knarr_runtime::container::list::{Filters, ListOptions};
use knarr_runtime::container::{self, remove::Remove};
use knarr_runtime::monitor::Step;
use knarr_runtime::reconcile;
use knarr_runtime::state::{self, Status};
use std::os::unix::process::ExitStatusExt;

crate::tests![
    at_every_step,
    at_every_step_of_wasm,
    at_every_step_of_a_removed_one,
    of_the_foreground_command,
    half_made_and_half_removed,
    damaged_records,
    a_monitor_that_lives_is_left_alone,
];

const STEPS: &[Step] = &[
    Step::Owned,
    Step::Attached,
    Step::Separated,
    Step::Mounted,
    Step::Started,
    Step::Recorded,
    Step::Ended,
    Step::Announced,
    Step::Cleared,
];

fn die_at(fixture: &Fixture, id: &ContainerId, step: Step) {
    let name = format!("{step:?}");
    let status = command_of(fixture.root(), "die-at", id, &[&name]).status().unwrap();
    assert_eq!(status.signal(), Some(9), "{name}: {status}");
}

/// A listing, which reconciles; the one container's state.
fn listed(fixture: &Fixture) -> Option<Status> {
    let options = ListOptions { all: true, ..Default::default() };
    let listing = container::list(&fixture.store, &Filters::default(), &options).unwrap();
    assert!(listing.damaged.is_empty());
    assert!(listing.containers.len() <= 1);
    listing.containers.first().map(|c| c.status)
}

fn check_every_step(fixture: &Fixture, id: &ContainerId) {
    for step in STEPS {
        die_at(fixture, id, *step);
        let status = listed(fixture);
        fixture.assert_nothing_is_left();
        assert!(cgroups_of(id).is_empty(), "{step:?}");
        let exit = fixture.load(id).state.exit;
        match step {
            Step::Owned | Step::Attached | Step::Separated | Step::Mounted | Step::Started => {
                // as it was before
                assert!(matches!(status, Some(Status::Created | Status::Exited)), "{step:?}");
            }
            Step::Recorded | Step::Ended => {
                assert_eq!(status, Some(Status::Exited), "{step:?}");
                let exit = exit.unwrap();
                assert_eq!(exit.code, 137);
                assert!(exit.error.unwrap().contains("monitor was killed"));
            }
            Step::Announced | Step::Cleared => {
                assert_eq!(status, Some(Status::Exited), "{step:?}");
                assert_eq!(exit.unwrap().code, 0);
            }
        }
        // and it runs again
        let output = fixture.run(id);
        assert_eq!((stdout(&output), stderr(&output)), ("lives\n", ""), "{step:?}");
    }
}

fn at_every_step() {
    let fixture = Fixture::new();
    let limits = knarr_core::spec::Limits { pids: Some(50), ..Default::default() };
    let id = fixture.create(&["echo", "lives"], RunOptions { limits, ..Default::default() });
    check_every_step(&fixture, &id);
}

fn at_every_step_of_wasm() {
    let fixture = Fixture::new();
    let id = fixture.create_wasm(&["echo", "lives"], RunOptions::default());
    check_every_step(&fixture, &id);
}

fn at_every_step_of_a_removed_one() {
    for step in STEPS {
        let fixture = Fixture::new();
        let options = RunOptions { auto_remove: true, ..Default::default() };
        let config = r#"{"config":{"Env":["PATH=/bin"],"Volumes":{"/data":{}}}}"#;
        let id = fixture.create_with(config, &["true"], options).unwrap();
        die_at(&fixture, &id, *step);
        let status = listed(&fixture);
        fixture.assert_nothing_is_left();
        assert!(cgroups_of(&id).is_empty(), "{step:?}");
        assert_eq!(status, None, "{step:?}");
        assert!(!fixture.exists(&id), "{step:?}");
        let volumes = knarr_core::fsx::list(&fixture.root().volumes()).unwrap();
        assert!(volumes.is_empty(), "{step:?}: {volumes:?}");
        let names = knarr_core::fsx::list(&fixture.root().container_names()).unwrap();
        assert!(names.is_empty(), "{step:?}: {names:?}");
    }
}

fn of_the_foreground_command() {
    let fixture = Fixture::new();
    let id = fixture.create(&["sleep", "1000"], RunOptions::default());
    let mut command = fixture.command("run", &id).spawn().unwrap();
    wait_until(|| fixture.load(&id).state.status == Status::Running);
    // somebody who waits gets an answer, too
    let waiter = fixture.command("wait", &id).spawn().unwrap();
    command.kill().unwrap();
    command.wait().unwrap();
    assert_eq!(waiter.wait_with_output().unwrap().status.code(), Some(137));
    assert_eq!(listed(&fixture), Some(Status::Exited));
    fixture.assert_nothing_is_left();
    assert!(cgroups_of(&id).is_empty());
}

fn half_made_and_half_removed() {
    let fixture = Fixture::new();
    let id =
        fixture.create(&["true"], RunOptions { name: Some("web".into()), ..Default::default() });
    let paths = fixture.root().container(&id);
    // as create or remove leave it when they are killed
    knarr_core::fsx::remove_file(&paths.spec()).unwrap();
    assert!(matches!(state::find(fixture.root(), "web"), Err(state::Error::NotFound { .. })));
    let other =
        fixture.create(&["true"], RunOptions { name: Some("web".into()), ..Default::default() });
    assert_eq!(state::find(fixture.root(), "web").unwrap(), other);
    assert_eq!(listed(&fixture), Some(Status::Created));
    assert!(!fixture.exists(&id));
    // a removal that had begun is finished
    let mut unowned = reconcile::take(fixture.root(), &other).unwrap().unwrap();
    unowned.state.apply(state::ContainerState::removing).unwrap();
    drop(unowned);
    assert_eq!(listed(&fixture), None);
    assert!(!fixture.exists(&other));
}

fn damaged_records() {
    let fixture = Fixture::new();
    let id =
        fixture.create(&["true"], RunOptions { name: Some("web".into()), ..Default::default() });
    knarr_core::fsx::write(&fixture.root().container(&id).state(), "{\"version\":1,\"na").unwrap();
    let good = fixture.create(&["true"], RunOptions::default());
    let options = ListOptions { all: true, ..Default::default() };
    let listing = container::list(&fixture.store, &Filters::default(), &options).unwrap();
    assert_eq!(listing.damaged[0].id, id);
    assert_eq!(listing.containers[0].id, good);
    assert_eq!(container::find(&fixture.store, "web").unwrap(), id, "it can be named");
    let refused = container::remove(&fixture.store, &id, Remove::default()).unwrap_err();
    assert!(chain(&refused).contains("is damaged"), "{}", chain(&refused));
    let force = Remove { force: true, volumes: false };
    container::remove(&fixture.store, &id, force).unwrap();
    assert!(!fixture.exists(&id));
    fixture.create(&["true"], RunOptions { name: Some("web".into()), ..Default::default() });
}

fn a_monitor_that_lives_is_left_alone() {
    let fixture = Fixture::new();
    let id = fixture.create(&["sleep", "1000"], RunOptions::default());
    fixture.start(&id);
    let before = fixture.load(&id);
    assert!(reconcile::take(fixture.root(), &id).unwrap().is_none());
    assert_eq!(listed(&fixture), Some(Status::Running));
    assert_eq!(fixture.load(&id), before);
    let refused = container::remove(&fixture.store, &id, Remove::default()).unwrap_err();
    assert!(matches!(refused, container::Error::Running { .. }));
    container::remove(&fixture.store, &id, Remove { force: true, volumes: false }).unwrap();
    assert!(!fixture.exists(&id));
    fixture.assert_nothing_is_left();
    assert!(cgroups_of(&id).is_empty());
}
