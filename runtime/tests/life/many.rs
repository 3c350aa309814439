//! Many at once, and terminals.

use crate::fixture::*;
use knarr_runtime::container::list::{Filters, ListOptions};
use knarr_runtime::container::{self, remove::Remove};
use knarr_runtime::state::Status;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

crate::tests![
    fifty_runs_at_once,
    many_in_the_background,
    a_monitor_inherits_nothing,
    one_start_of_many_wins,
    one_name_of_many_wins,
    a_terminal_is_left_and_entered_again,
    a_slow_reader_stops_nobody_else,
    a_reader_that_leaves_ends_the_pipeline,
];

fn fifty_runs_at_once() {
    let fixture = Fixture::new();
    let options = RunOptions { auto_remove: true, ..Default::default() };
    let start = |number: usize| {
        let word = format!("number {number}");
        let id = match number % 2 {
            0 => fixture.create(&["echo", &word], options.clone()),
            _ => fixture.create_wasm(&["echo", &word], options.clone()),
        };
        let mut command = fixture.command("run", &id);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (id, command.spawn().unwrap())
    };
    let running: Vec<_> = (0..50).map(start).collect();
    for (number, (id, child)) in running.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert_eq!((stdout(&output), stderr(&output)), (&*format!("number {number}\n"), ""));
        fixture.assert_vanishes(&id);
        assert!(cgroups_of(&id).is_empty());
    }
    let left = knarr_core::fsx::list(&fixture.root().containers()).unwrap();
    assert_eq!(left, ["by-name", "lock"]);
    fixture.assert_nothing_is_left();
}

fn many_in_the_background() {
    let fixture = Fixture::new();
    let ids: Vec<_> =
        (0..20).map(|_| fixture.create(&["sleep", "1000"], RunOptions::default())).collect();
    let starting: Vec<Child> =
        ids.iter().map(|id| fixture.command("start", id).spawn().unwrap()).collect();
    for mut child in starting {
        assert!(child.wait().unwrap().success());
    }
    let listing =
        container::list(&fixture.store, &Filters::default(), &ListOptions::default()).unwrap();
    assert_eq!(listing.containers.len(), 20);
    assert!(listing.containers.iter().all(|c| c.status == Status::Running));
    let options = Remove { force: true, volumes: true };
    for result in container::remove::remove_all(&fixture.store, &ids, options) {
        result.unwrap();
    }
    ids.iter().for_each(|id| fixture.assert_vanishes(id));
    fixture.assert_nothing_is_left();
}

fn a_monitor_inherits_nothing() {
    let fixture = Fixture::new();
    let id = fixture.create(&["sleep", "1000"], RunOptions::default());
    let (mut read, write) = std::io::pipe().unwrap();
    // a caller that forgets to close what is its own
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::empty()).unwrap();
    assert!(fixture.command("start", &id).status().unwrap().success());
    drop(write);
    let mut end = Vec::new();
    assert_eq!(read.read_to_end(&mut end).unwrap(), 0, "nobody holds the other end");
}

fn one_start_of_many_wins() {
    let fixture = Fixture::new();
    let id = fixture.create(&["sh", "-c", "echo once; sleep 1000"], RunOptions::default());
    let starting: Vec<Child> =
        (0..10).map(|_| fixture.command("start", &id).spawn().unwrap()).collect();
    for mut child in starting {
        assert!(child.wait().unwrap().success());
    }
    wait_until(|| !log(&fixture, &id).is_empty());
    assert_eq!(log(&fixture, &id), ["stdout:once\n"]);
}

fn one_name_of_many_wins() {
    let fixture = Fixture::new();
    let options = || RunOptions { name: Some("web".into()), ..Default::default() };
    let won = std::thread::scope(|scope| {
        let create = || fixture.create_with(r#"{"config":{}}"#, &["true"], options()).is_ok();
        let racing: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        racing.into_iter().filter(|_| true).map(|t| t.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    let left = knarr_core::fsx::list(&fixture.root().containers()).unwrap();
    assert_eq!(left.len(), 3, "the one, by-name, and the lock: {left:?}");
}

/// A program on a terminal of its own.
struct Typist {
    child: Child,
    master: File,
    seen: String,
}

impl Typist {
    fn start(mut command: std::process::Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let size = rustix::termios::Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        command.stdin(open()).stdout(open()).stderr(open());
        Self { child: command.spawn().unwrap(), master: master.into(), seen: String::new() }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    fn sees(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let mut buffer = [0; 1024];
            let count = self.master.read(&mut buffer).unwrap_or(0);
            assert!(count > 0, "no {text:?} in {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        self.seen.clear();
    }

    fn ends(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

fn a_terminal_is_left_and_entered_again() {
    let fixture = Fixture::new();
    let options = RunOptions { tty: true, interactive: true, ..Default::default() };
    let id = fixture.create(&["sh"], options);
    let mut typist = Typist::start(fixture.command("run", &id));
    typist.types("tty && stty size && echo re''ady\n");
    typist.sees("ready");
    typist.types("stty size\n");
    typist.sees("33 101");
    typist.types("\x10\x11");
    assert_eq!(typist.ends(), 0);
    assert_eq!(fixture.load(&id).state.status, Status::Running);
    let mut typist = Typist::start(fixture.command("attach", &id));
    typist.types("echo ag''ain\n");
    typist.sees("again");
    typist.types("exit 9\n");
    assert_eq!(typist.ends(), 9);
    assert_eq!(container::wait(&fixture.store, &id).unwrap(), 9);
}

fn a_slow_reader_stops_nobody_else() {
    let fixture = Fixture::new();
    let id =
        fixture.create(&["sh", "-c", "yes | head -c 100000; sleep 1000"], RunOptions::default());
    let mut command = fixture.command("start-attached", &id);
    // nobody reads what it writes
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    wait_until(|| fixture.load(&id).state.status == Status::Running);
    container::kill(&fixture.store, &id, "KILL").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(137));
}

fn a_reader_that_leaves_ends_the_pipeline() {
    let fixture = Fixture::new();
    let id = fixture.create(&["yes"], RunOptions::default());
    let mut child = fixture.command("run", &id).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 2];
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut line).unwrap();
    drop(output);
    let status = child.wait().unwrap();
    assert!(!status.success());
}
