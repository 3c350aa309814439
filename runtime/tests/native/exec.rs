//! `exec`: further processes in a running container.

use crate::fixture::{Fixture, Output, Running, chain, idle, pipe, wait};
use knarr_runtime::engine::Stdio;
use knarr_runtime::engine::native::{self, Error, ExecProcess};
use knarr_runtime::sys::signal::SignalQueue;
use std::fs::{self, File};
use std::io::Read;

crate::tests![
    joins_everything,
    is_confined_as_the_container,
    user_directory_and_environment,
    exit_codes,
    terminal,
    privileged,
    of_a_container_that_is_gone,
    hostile_terminals,
];

fn process(args: &[&str]) -> ExecProcess {
    ExecProcess { args: args.iter().map(|s| (*s).to_owned()).collect(), ..ExecProcess::default() }
}

pub fn shell(script: &str) -> ExecProcess {
    process(&["sh", "-c", script])
}

fn signals() -> SignalQueue {
    SignalQueue::open().unwrap()
}

fn exec(fixture: &Fixture, running: &Running, process: &ExecProcess) -> Result<Output, Error> {
    exec_in(fixture, running.guest.pid, process)
}

pub fn exec_in(fixture: &Fixture, init: u32, process: &ExecProcess) -> Result<Output, Error> {
    let (guest_in, stdin) = pipe();
    let (stdout, guest_out) = pipe();
    let (stderr, guest_err) = pipe();
    let stdio = Stdio::Pipes { stdin: Some(guest_in), stdout: guest_out, stderr: guest_err };
    let guest = native::exec(&fixture.root, &fixture.spec, init, process, stdio, &signals())?;
    Ok(Running { guest, stdin: Some(stdin), stdout: stdout.into(), stderr: stderr.into() }.finish())
}

pub fn output(fixture: &Fixture, running: &Running, script: &str) -> String {
    let output = exec(fixture, running, &shell(script)).unwrap_or_else(|e| panic!("{}", chain(&e)));
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{script}: {output:?}");
    output.stdout.trim_end().to_owned()
}

fn joins_everything() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.memory = Some(64 << 20);
    fixture.spec.network = knarr_core::spec::NetworkMode::None;
    let running = idle(&mut fixture);
    for name in ["mnt", "pid", "ipc", "uts", "cgroup", "net"] {
        let inside = output(&fixture, &running, &format!("readlink /proc/self/ns/{name}"));
        let of_init = fs::read_link(format!("/proc/{}/ns/{name}", running.guest.pid)).unwrap();
        assert_eq!(inside, of_init.to_str().unwrap(), "{name}");
    }
    let cgroups = output(&fixture, &running, "cat /proc/self/cgroup");
    assert_eq!(cgroups, output(&fixture, &running, "cat /proc/1/cgroup"));
    let counted = output(
        &fixture,
        &running,
        "cat /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | wc -l; true",
    );
    assert!(counted.parse::<u32>().unwrap() >= 3, "{counted}"); // init, its cat, and this shell
    running.finish();
}

fn is_confined_as_the_container() {
    let mut fixture = Fixture::new();
    fixture.spec.security.no_new_privileges = true;
    let running = idle(&mut fixture);
    let fields = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Sig(Blk|Ign))' /proc/PID/status";
    let own = output(&fixture, &running, &fields.replace("PID", "self"));
    assert_eq!(own, output(&fixture, &running, &fields.replace("PID", "1")));
    assert!(own.contains("CapEff:\t00000000a80425fb") && own.contains("Seccomp:\t2"), "{own}");
    running.finish();
}

fn user_directory_and_environment() {
    let mut fixture = Fixture::new();
    fixture.spec.process.env = vec!["A=1".into(), "B=1".into()];
    let running = idle(&mut fixture);
    let with = ExecProcess {
        user: Some("ann".into()),
        cwd: Some("/home/ann".into()),
        env: vec!["B=2".into()],
        ..shell("id -u; id -g; pwd; echo $A $B $HOME")
    };
    assert_eq!(
        exec(&fixture, &running, &with).unwrap().stdout,
        "1000\n1000\n/home/ann\n1 2 /home/ann\n"
    );
    let missing = ExecProcess { cwd: Some("/nope".into()), ..shell("true") };
    assert_eq!(exec(&fixture, &running, &missing).unwrap_err().exit_code(), 126);
    assert!(!fixture.rootfs.join("nope").exists());
    running.finish();
}

fn exit_codes() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    assert_eq!(exec(&fixture, &running, &shell("exit 9")).unwrap().code, 9);
    assert_eq!(exec(&fixture, &running, &shell("kill -15 $$")).unwrap().code, 143);
    assert_eq!(exec(&fixture, &running, &process(&["nope"])).unwrap_err().exit_code(), 127);
    assert_eq!(exec(&fixture, &running, &process(&["/etc/passwd"])).unwrap_err().exit_code(), 126);
    assert!(matches!(exec(&fixture, &running, &process(&[])), Err(Error::NoCommand)));
    running.finish();
}

fn terminal() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    let stdio = Stdio::Terminal { rows: 20, columns: 60 };
    let process = shell("tty; stty size; echo $TERM");
    let guest =
        native::exec(&fixture.root, &fixture.spec, running.guest.pid, &process, stdio, &signals())
            .unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 256]);
    let mut master = File::from(guest.terminal.unwrap());
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    assert_eq!(text, "/dev/pts/0\r\n20 60\r\nxterm\r\n");
    assert_eq!(wait(guest.pid), 0);
    running.finish();
}

fn privileged() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim().to_owned();
    let with = ExecProcess { privileged: true, ..shell("grep CapEff /proc/self/status") };
    assert!(exec(&fixture, &running, &with).unwrap().stdout.contains(&own));
    running.finish();
}

fn of_a_container_that_is_gone() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    let pid = running.guest.pid;
    running.finish();
    let (stdin, stdout) = pipe();
    let stderr = rustix::io::dup(&stdout).unwrap();
    let stdio = Stdio::Pipes { stdin: Some(stdin), stdout, stderr };
    let error = native::exec(&fixture.root, &fixture.spec, pid, &shell("true"), stdio, &signals())
        .unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
}

fn hostile_terminals() {
    // a guest that puts a file where the terminals were
    let mut fixture = Fixture::new();
    fixture.spec.security.privileged = true;
    let running = idle(&mut fixture);
    output(&fixture, &running, "mkdir /tmp/p; touch /tmp/p/ptmx; mount --bind /tmp/p /dev/pts");
    let stdio = Stdio::Terminal { rows: 20, columns: 60 };
    let error = native::exec(
        &fixture.root,
        &fixture.spec,
        running.guest.pid,
        &shell("true"),
        stdio,
        &signals(),
    );
    assert!(chain(&error.unwrap_err()).contains("/dev/pts/ptmx of the container"));
    running.finish();
}
