use super::*;
use knarr_core::fsx;

fn state() -> ContainerState {
    ContainerState::created("bold_cook".into())
}

fn guest(pid: u32) -> RunningGuest {
    RunningGuest { pid, monitor: 9, ..Default::default() }
}

fn exit(code: u8) -> Exit {
    Exit { code, oom_killed: false, error: None }
}

#[test]
fn a_whole_life() {
    let mut state = state();
    state.running(guest(10)).unwrap();
    assert!(state.is_alive() && state.started.is_some());
    state.paused().unwrap();
    state.resumed().unwrap();
    state.exited(exit(3)).unwrap();
    assert_eq!((state.pid, state.monitor, state.exit.as_ref().unwrap().code), (None, None, 3));
    state.running(guest(11)).unwrap();
    assert_eq!((state.exit.clone(), state.finished), (None, None), "a new run forgets the last");
    state.exited(exit(0)).unwrap();
    state.removing().unwrap();
    state.removing().unwrap();
}

#[test]
fn illegal_transitions_refuse() {
    let mut created = state();
    assert_eq!(created.exited(exit(0)), Err((Status::Created, Status::Exited)));
    assert_eq!(created.paused(), Err((Status::Created, Status::Paused)));
    let mut running = state();
    running.running(guest(1)).unwrap();
    assert_eq!(running.running(guest(1)), Err((Status::Running, Status::Running)));
    assert_eq!(running.removing(), Err((Status::Running, Status::Removing)));
    let mut removing = state();
    removing.removing().unwrap();
    assert_eq!(removing.startable(), Err((Status::Removing, Status::Running)));
}

#[test]
fn names() {
    for name in ["a1", "web", "a.b-c_d", "0x"] {
        validate(name).unwrap();
    }
    for name in ["", "a", "-a", "a/b", "..", ".a", "a b", "ä1"] {
        assert!(validate(name).is_err(), "{name:?}");
    }
    for attempt in 0..100 {
        validate(&generate(attempt)).unwrap();
    }
}

#[test]
fn a_name_without_an_owner_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    fsx::create_dir_all(&root.container_names()).unwrap();
    let id = ContainerId::random();
    assert_eq!(claim(&root, "web", &id).unwrap(), Claim::Done);
    assert_eq!(claim(&root, "web", &id).unwrap(), Claim::Stale);
    fsx::create_dir(root.container(&id).data()).unwrap();
    sweep(&root).unwrap();
    assert!(!root.container(&id).data().exists());
    assert_eq!(claim(&root, "web", &id).unwrap(), Claim::Done);
    assert!(matches!(find(&root, "web"), Err(Error::NotFound { .. })));
}
