//! The guest's process: who it is, what it gets, how it ends.

use crate::fixture::{Fixture, chain, idle, pipe, wait};
use knarr_core::hint::Hint;
use knarr_runtime::engine::Stdio;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::Read;

crate::tests![
    users,
    environment,
    exit_codes,
    commands_that_do_not_start,
    streams,
    terminal,
    terminal_under_init,
    init_reaps_and_forwards,
    init_ends_as_its_command,
    signals_are_at_their_defaults,
    dies_with_its_monitor,
    unprivileged_users_may_open_their_streams,
];

fn users() {
    let mut fixture = Fixture::new();
    let mut id = |user: &str, groups: &[&str]| {
        fixture.spec.process.user = user.to_owned();
        fixture.spec.process.group_add = groups.iter().map(|s| (*s).to_owned()).collect();
        fixture
            .sh("id -u; id -g; grep ^Groups /proc/self/status; echo $HOME")
            .replace(['\n', '\t'], " ")
    };
    assert_eq!(id("", &[]), "0 0 Groups: 0  /root");
    assert_eq!(id("ann", &[]), "1000 1000 Groups: 10 1000  /home/ann");
    assert_eq!(id("1000:10", &["42"]), "1000 10 Groups: 10 42  /home/ann");
    assert_eq!(id("4242", &[]), "4242 0 Groups: 0  /");
    fixture.spec.process.user = "nobody:nogroup".into();
    let error = fixture.start().err().expect("there is no such user");
    assert_eq!(error.to_string(), "\"nobody\" is not a user of the image");
    assert!(error.hint().is_some());
}

fn environment() {
    let mut fixture = Fixture::new();
    fixture.spec.hostname = Some("ship".into());
    fixture.spec.process.env = vec!["A=1".into(), "A=2".into(), "EMPTY=".into()];
    let mut seen: Vec<String> = fixture.sh("env").lines().map(str::to_owned).collect();
    seen.retain(|variable| !["PWD=", "SHLVL="].iter().any(|shell| variable.starts_with(shell)));
    seen.sort();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(seen, ["A=2", "EMPTY=", "HOME=/root", "HOSTNAME=ship", path]);
    fixture.spec.process.env = vec!["PATH=/bin".into(), "HOME=/x".into()];
    assert_eq!(fixture.sh("echo $PATH $HOME"), "/bin /x");
}

fn exit_codes() {
    let mut fixture = Fixture::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
        fixture.shell(script);
        assert_eq!(fixture.run().code, code);
    }
    // the first process of a container ignores its own signals; one from outside ends it
    let running = idle(&mut fixture);
    kill_process(Pid::from_raw(running.guest.pid as i32).unwrap(), Signal::KILL).unwrap();
    assert_eq!(running.finish().code, 137);
}

fn commands_that_do_not_start() {
    let mut fixture = Fixture::new();
    let write = |name: &str, content: &str, mode| {
        let path = fixture.rootfs.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    write("bin/plain", "#!/bin/sh\n", 0o644);
    write("bin/carriage", "#!/bin/sh\r\necho\r\n", 0o755);
    write("bin/garbage", "\u{1}\u{2}\u{3}", 0o755);
    for (command, code, message, hint) in [
        ("nope", 127, "no such file in the container's PATH", "knarr inspect"),
        ("/nope", 127, "does not exist in the container", "knarr inspect"),
        ("/bin/plain", 126, "Permission denied", "chmod +x"),
        ("plain", 126, "Permission denied", "chmod +x"),
        ("/tmp", 126, "Permission denied", "chmod +x"),
        ("/bin/carriage", 127, "what is to interpret it does not", "Windows"),
        ("/bin/garbage", 126, "Exec format error", "no program for this processor"),
    ] {
        fixture.command(&[command]);
        let error = fixture.start().err().unwrap_or_else(|| panic!("{command} started"));
        assert_eq!(error.exit_code(), code, "{command}: {}", chain(&error));
        assert!(chain(&error).contains(message), "{command}: {}", chain(&error));
        assert!(error.hint().is_some_and(|h| h.contains(hint)), "{command}: {:?}", error.hint());
    }
    fixture.command(&[]);
    assert_eq!(fixture.start().err().unwrap().exit_code(), 125);
}

fn streams() {
    let mut fixture = Fixture::new();
    fixture.shell("cat; echo error >&2");
    let mut running = fixture.start().unwrap();
    let input = running.stdin.take().unwrap();
    rustix::io::write(&input, b"through\n").unwrap();
    drop(input);
    let output = running.finish();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("through\n", "error\n"));
}

/// Reads a terminal until its other end is closed.
fn read_terminal(master: std::os::fd::OwnedFd) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    let mut master = File::from(master);
    // EIO is how a terminal says that nobody has it open any more
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn terminal() {
    let mut fixture = Fixture::new();
    fixture.shell("tty; stty size; echo $TERM; test -c /dev/console && echo console; ls /dev/pts; id -u > /dev/tty");
    fixture.spec.process.user = "ann".into();
    let guest = fixture.launch(Stdio::Terminal { rows: 33, columns: 77 }).unwrap();
    let text = read_terminal(guest.terminal.unwrap());
    assert_eq!(text, "/dev/pts/0\r\n33 77\r\nxterm\r\nconsole\r\n0     ptmx\r\n1000\r\n");
    assert_eq!(wait(guest.pid), 0);
}

fn terminal_under_init() {
    let mut fixture = Fixture::new();
    fixture.spec.init = true;
    fixture.shell("read line; echo got $line");
    let guest = fixture.launch(Stdio::Terminal { rows: 24, columns: 80 }).unwrap();
    let master = guest.terminal.unwrap();
    rustix::io::write(&master, b"ahoy\n").unwrap();
    let text = read_terminal(master);
    assert!(text.ends_with("got ahoy\r\n"), "{text}");
    assert_eq!(wait(guest.pid), 0);
}

fn init_reaps_and_forwards() {
    let mut fixture = Fixture::new();
    fixture.spec.init = true;
    // an orphan is reaped by process 1: its parent is gone, and so is it
    let script =
        "(sleep 0 & echo $! > /tmp/orphan); while test -d /proc/$(cat /tmp/orphan); do :; done;
        trap 'echo stopped; exit 5' TERM; echo $$ ready; while :; do sleep 100 & wait; done";
    fixture.shell(script);
    let mut running = fixture.start().unwrap();
    let mut line = [0; 8];
    running.stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"2 ready\n");
    kill_process(Pid::from_raw(running.guest.pid as i32).unwrap(), Signal::TERM).unwrap();
    let output = running.finish();
    assert_eq!((output.code, output.stdout.as_str()), (5, "stopped\n"));
}

fn init_ends_as_its_command() {
    let mut fixture = Fixture::new();
    fixture.spec.init = true;
    for (script, code) in [("exit 3", 3), ("kill -9 $$", 137), ("sleep 1000 & exit 4", 4)] {
        fixture.shell(script);
        let output = fixture.start().unwrap().finish();
        assert_eq!(output.code, code, "{script}");
        fixture.cleanup();
    }
    fixture.command(&["/nope"]);
    assert_eq!(fixture.start().err().unwrap().exit_code(), 127);
    assert_eq!(fixture.sh("grep Seccomp: /proc/1/status"), "Seccomp:\t2");
}

fn signals_are_at_their_defaults() {
    let mut fixture = Fixture::new();
    let script = "grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status; umask";
    fixture.command(&["sh", "-c", script]);
    // grep itself is asked, which catches nothing
    let none = "0000000000000000";
    let expected = format!("SigBlk:\t{none}\nSigIgn:\t{none}\nSigCgt:\t{none}\n0022\n");
    assert_eq!(fixture.run().stdout, expected);
}

fn dies_with_its_monitor() {
    // a monitor that is killed: a child of this process, which starts the container and then waits
    let mut fixture = Fixture::new();
    fixture.shell("echo ready; sleep 1000");
    let (reader, writer) = pipe();
    // SAFETY: this process has one thread
    let monitor = unsafe { libc::fork() };
    if monitor == 0 {
        drop(reader);
        let (stdin, _keep) = pipe();
        let error = rustix::io::dup(&writer).unwrap();
        let guest = fixture
            .launch(Stdio::Pipes { stdin: Some(stdin), stdout: writer, stderr: error })
            .unwrap();
        let _ = wait(guest.pid);
        unreachable!("the guest outlives this process, or dies with it");
    }
    drop(writer);
    let mut reader = File::from(reader);
    let mut line = [0; 6];
    reader.read_exact(&mut line).unwrap();
    kill_process(Pid::from_raw(monitor).unwrap(), Signal::KILL).unwrap();
    // the end of the file is the end of the guest
    assert_eq!(reader.read(&mut line).unwrap(), 0);
    assert_eq!(wait(monitor as u32), 137);
}

fn unprivileged_users_may_open_their_streams() {
    let mut fixture = Fixture::new();
    fixture.spec.process.user = "ann".into();
    assert_eq!(fixture.sh("echo by name > /dev/stdout"), "by name");
}
