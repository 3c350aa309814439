//! Steps of a build: one process each, and nothing of it afterwards.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use crate::fixture::*;
use knarr_core::root::Root;
use knarr_core::spec::{Dns, EngineKind, Limits, NetworkMode, Security};
use knarr_core::store::snapshot::Snapshot;
use knarr_runtime::oneshot::{self, Cancel, Ended, Error, Source, Step, StepMount, Stream};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

crate::tests![
    what_a_step_changes_is_in_its_upper_directory,
    mounts_of_each_kind,
    paths_in_other_layers_stay_inside,
    an_agent_s_socket,
    as_another_user,
    without_a_network,
    a_wasm_module,
    errors_keep_their_cause_hint_and_code,
    what_it_leaves_behind_is_killed,
    cancelled,
    nothing_outlives_a_killed_caller,
    a_killed_helper_is_swept,
    many_at_once_from_threads,
    an_ordinary_user_s,
];

const DIGITS: usize = 64;

fn layer(fixture: &Fixture, digit: char) -> PathBuf {
    let digest = format!("sha256:{}", digit.to_string().repeat(DIGITS)).parse().unwrap();
    fixture.store.layer_path(&digest)
}

fn snapshot(fixture: &Fixture, name: &str, lower: Vec<PathBuf>) -> Snapshot {
    let folder = fixture.host(name);
    fs::create_dir_all(&folder).unwrap();
    let part = |part| folder.join(part);
    Snapshot { lower, upper: part("upper"), work: part("work"), target: part("target") }
}

fn step(fixture: &Fixture, args: &[&str]) -> Step {
    Step {
        engine: EngineKind::Native,
        rootfs: snapshot(fixture, "step", vec![layer(fixture, 'b')]),
        args: args.iter().map(|word| (*word).to_owned()).collect(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        user: String::new(),
        hostname: None,
        mounts: Vec::new(),
        network: NetworkMode::Host,
        dns: Dns::default(),
        extra_hosts: Vec::new(),
        limits: Limits::default(),
        security: Security::default(),
    }
}

fn mount(source: Source, target: &str, read_only: bool) -> StepMount {
    StepMount { source, target: target.to_owned(), read_only }
}

/// How it ended, and what it wrote.
fn run(fixture: &Fixture, step: &Step) -> (Ended, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = oneshot::run(fixture.root(), step, None, &mut |stream, bytes| match stream {
        Stream::Stdout => out.extend_from_slice(bytes),
        Stream::Stderr => err.extend_from_slice(bytes),
    });
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(out), text(err));
    (ended.unwrap_or_else(|e| panic!("{} {out} {err}", chain(&e))), out, err)
}

fn shell(fixture: &Fixture, script: &str) -> String {
    prints(fixture, &step(fixture, &["sh", "-c", script]))
}

fn prints(fixture: &Fixture, step: &Step) -> String {
    let (ended, out, err) = run(fixture, step);
    assert_eq!((ended, err.as_str()), (Ended::Code(0), ""), "{out}");
    out
}

fn fails(fixture: &Fixture, step: &Step) -> Error {
    oneshot::run(fixture.root(), step, None, &mut |_, _| {}).unwrap_err()
}

/// Neither a run folder nor a mount nor a cgroup.
fn assert_clean(fixture: &Fixture) {
    let folders = knarr_core::fsx::list(&fixture.root().run().join("steps/c")).unwrap();
    assert!(folders.is_empty(), "{folders:?}");
    fixture.assert_nothing_is_left();
}

fn what_a_step_changes_is_in_its_upper_directory() {
    let fixture = Fixture::new();
    let out = shell(&fixture, "echo out; pwd; rm /data/from-image; echo new >/tmp/new");
    assert_eq!(out, "out\n/\n");
    let upper = fixture.host("step/upper");
    assert_eq!(fs::read_to_string(upper.join("tmp/new")).unwrap(), "new\n");
    // a whiteout: a character device 0/0
    assert_eq!(fs::symlink_metadata(upper.join("data/from-image")).unwrap().rdev(), 0);
    assert!(fixture.host("step/target").read_dir().unwrap().next().is_none(), "unmounted");
    let (ended, out, err) = run(&fixture, &step(&fixture, &["sh", "-c", "echo no >&2; exit 7"]));
    assert_eq!((ended, out.as_str(), err.as_str()), (Ended::Code(7), "", "no\n"));
    let (ended, ..) = run(&fixture, &step(&fixture, &["sh", "-c", "sh -c 'kill -9 $PPID'"]));
    assert_eq!(ended, Ended::Code(0), "the first process of a namespace is safe from those in it");
    assert_clean(&fixture);
}

fn mounts_of_each_kind() {
    let fixture = Fixture::new();
    let context = fixture.host("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("file"), "of the host\n").unwrap();
    let cache = fixture.host("cache");
    fs::create_dir(&cache).unwrap();
    let secret = Source::Secret { content: b"hush".to_vec(), mode: 0o440, uid: 5, gid: 6 };
    let layers = snapshot(&fixture, "other", vec![layer(&fixture, 'a'), layer(&fixture, 'b')]);
    let mut step = step(
        &fixture,
        &[
            "sh",
            "-c",
            "cat /src/file /run/secrets/it; stat -c ' %a %u %g' /run/secrets/it
             echo x 2>/dev/null >/src/file || echo read-only
             echo kept >/cache/kept
             echo gone >/mem/gone && stat -f -c %T /mem
             ls /other; echo gone >/other/gone; cat /one",
        ],
    );
    step.mounts = vec![
        mount(Source::Path(context.clone()), "/src", true),
        mount(secret, "/run/secrets/it", true),
        mount(Source::Path(cache.clone()), "/cache", false),
        mount(Source::Tmpfs { size: Some(1 << 20), mode: None }, "/mem", false),
        mount(Source::Layers { tree: layers, path: "/data".into() }, "/other", false),
        mount(Source::Path(context.join("file")), "/one", true),
    ];
    let out = prints(&fixture, &step);
    let expected = "of the host\nhush 440 5 6\nread-only\ntmpfs\nfrom-image\nof the host\n";
    assert_eq!(out, expected);
    assert_eq!(fs::read_to_string(cache.join("kept")).unwrap(), "kept\n");
    assert_eq!(fs::read_to_string(fixture.host("other/upper/data/gone")).unwrap(), "gone\n");
    // no secret and nothing of a mount is in what the step changed: empty places at the most
    for (path, length) in [("run/secrets/it", 0), ("one", 0)] {
        assert_eq!(fs::metadata(fixture.host("step/upper").join(path)).unwrap().len(), length);
    }
    assert!(fixture.host("step/upper/mem").read_dir().unwrap().next().is_none());
    assert_clean(&fixture);
}

fn paths_in_other_layers_stay_inside() {
    let fixture = Fixture::new();
    let hostile = fixture.host("hostile");
    fs::create_dir_all(hostile.join("etc")).unwrap();
    fs::write(hostile.join("etc/passwd"), "inside\n").unwrap();
    std::os::unix::fs::symlink("/etc", hostile.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../../../../etc", hostile.join("upwards")).unwrap();
    for path in ["/absolute/passwd", "upwards/passwd", "../../etc/passwd"] {
        let tree = snapshot(&fixture, "tree", vec![hostile.clone()]);
        let mut step = step(&fixture, &["cat", "/it"]);
        step.mounts = vec![mount(Source::Layers { tree, path: path.into() }, "/it", true)];
        assert_eq!(prints(&fixture, &step), "inside\n", "{path}");
    }
    let tree = snapshot(&fixture, "tree", vec![hostile]);
    let mut step = step(&fixture, &["true"]);
    step.mounts = vec![mount(Source::Layers { tree, path: "/none".into() }, "/it", true)];
    let error = fails(&fixture, &step).to_string();
    assert_eq!(error, "/none does not exist in the tree that is to be mounted at /it");
    assert_clean(&fixture);
}

fn an_agent_s_socket() {
    let fixture = Fixture::new();
    let socket = fixture.host("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let agent = std::thread::spawn(move || {
        // the first one only looks whether somebody is there
        let mut client = listener.incoming().nth(1).unwrap().unwrap();
        let mut asked = [0; 4];
        client.read_exact(&mut asked).unwrap();
        client.write_all(b"pong\n").unwrap();
        asked
    });
    let mut step = step(&fixture, &["sh", "-c", "stat -c '%F %a %u' /run/agent; cat /fifo"]);
    step.user = "1234".into();
    let source = Source::Agent { socket: socket.clone(), mode: 0o600, uid: 1234, gid: 0 };
    let fifo = fifo(&fixture);
    step.mounts =
        vec![mount(source, "/run/agent", false), mount(Source::Path(fifo.clone()), "/fifo", true)];
    let mut seen = Vec::new();
    let ended = oneshot::run(fixture.root(), &step, None, &mut |_, bytes| {
        seen.extend_from_slice(bytes);
        if seen == b"socket 600 1234\n" {
            // busybox speaks to no such socket: from outside, then
            let folder = fixture.root().run().join("steps/c");
            let folder = folder.read_dir().unwrap().next().unwrap().unwrap().path();
            let mut client = UnixStream::connect(folder.join("agent-0")).unwrap();
            client.write_all(b"ping").unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            fs::write(&fifo, answer).unwrap();
        }
    });
    assert_eq!(
        (ended.unwrap(), seen.as_slice()),
        (Ended::Code(0), &b"socket 600 1234\npong\n"[..])
    );
    assert_eq!(&agent.join().unwrap(), b"ping");
    fs::remove_file(socket).unwrap();
    let error = chain(&fails(&fixture, &step));
    assert!(error.starts_with("cannot connect to the agent "), "{error}");
    assert_clean(&fixture);
}

fn as_another_user() {
    let fixture = Fixture::new();
    let mut step = step(&fixture, &["sh", "-c", "id -u; id -g; pwd; echo $HOME; umask; hostname"]);
    step.user = "1000:2000".into();
    step.cwd = "/data".into();
    step.hostname = Some("harbour".into());
    step.rootfs.lower.insert(0, fixture.host("hostname"));
    fs::create_dir_all(fixture.host("hostname/bin")).unwrap();
    std::os::unix::fs::symlink("busybox", fixture.host("hostname/bin/hostname")).unwrap();
    assert_eq!(prints(&fixture, &step), "1000\n2000\n/data\n/\n0022\nharbour\n");
    // Docker's capabilities, its filter, and no way to the host's mounts
    let status = shell(&fixture, "cat /proc/self/status");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(line("CapEff:\t"), "00000000a80425fb");
    assert_eq!(line("Seccomp:\t"), "2");
    assert_eq!(shell(&fixture, "ps -o pid,args | wc -l"), "4\n", "its own processes only");
    assert_clean(&fixture);
}

fn without_a_network() {
    let fixture = Fixture::new();
    let mut step = step(&fixture, &["cat", "/proc/net/dev", "/etc/hosts"]);
    step.network = NetworkMode::None;
    step.extra_hosts = vec![("port".into(), "10.1.2.3".into())];
    let out = prints(&fixture, &step);
    let interfaces = out.lines().filter(|line| line.contains(':') && !line.contains("::"));
    let names: Vec<_> = interfaces.filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names.len(), 1, "{out}");
    assert!(out.contains("10.1.2.3\tport\n"), "{out}");
}

fn a_wasm_module() {
    let fixture = Fixture::new();
    let mut step = step(&fixture, &["/kit.wasm", "write", "/made", "by wasm"]);
    step.engine = EngineKind::Wasm;
    step.rootfs.lower = vec![layer(&fixture, 'a')];
    prints(&fixture, &step);
    assert_eq!(fs::read_to_string(fixture.host("step/upper/made")).unwrap().trim(), "by wasm");
    step.args = ["/kit.wasm", "cat", "/src/file"].map(str::to_owned).into();
    fs::create_dir(fixture.host("context")).unwrap();
    fs::write(fixture.host("context/file"), "of the host\n").unwrap();
    step.mounts = vec![mount(Source::Path(fixture.host("context")), "/src", true)];
    assert_eq!(prints(&fixture, &step), "of the host\n");
    step.args = ["/kit.wasm", "exit", "9"].map(str::to_owned).into();
    assert_eq!(run(&fixture, &step).0, Ended::Code(9));
    step.args = vec!["/none.wasm".into()];
    let error = fails(&fixture, &step);
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (127, "module \"/none.wasm\" not found in the container")
    );
    assert_clean(&fixture);
}

fn errors_keep_their_cause_hint_and_code() {
    use knarr_core::hint::Hint;
    let fixture = Fixture::new();
    let error = fails(&fixture, &step(&fixture, &["nothing"]));
    assert_eq!(error.exit_code(), 127);
    assert!(error.hint().is_some());
    assert_eq!(error.to_string(), "\"nothing\": no such file in the container's PATH");
    let mut bad = step(&fixture, &["true"]);
    bad.user = "nobody-here".into();
    assert_eq!(fails(&fixture, &bad).to_string(), "\"nobody-here\" is not a user of the image");
    let mut bad = step(&fixture, &["true"]);
    bad.mounts = vec![mount(Source::Path("/no/such".into()), "/x", true)];
    assert!(fails(&fixture, &bad).to_string().starts_with("/no/such does not exist"));
    assert_clean(&fixture);
}

/// A pipe that anybody may use.
fn fifo(fixture: &Fixture) -> PathBuf {
    let path = fixture.host("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    path
}

fn what_it_leaves_behind_is_killed() {
    let fixture = Fixture::new();
    let fifo = fifo(&fixture);
    let mut step = step(
        &fixture,
        &[
            "sh",
            "-c",
            "(trap '' TERM HUP; exec 3<>/fifo; echo up >&3; sleep 1000) & exec 4</fifo; read x <&4; echo $x",
        ],
    );
    step.mounts = vec![mount(Source::Path(fifo), "/fifo", false)];
    assert_eq!(prints(&fixture, &step), "up\n");
    assert_clean(&fixture);
}

fn cancelled() {
    let fixture = Fixture::new();
    let step = step(&fixture, &["sh", "-c", "trap '' TERM INT; echo up; sleep 1000"]);
    let cancel = Cancel::new().unwrap();
    let error = oneshot::run(fixture.root(), &step, Some(&cancel), &mut |_, bytes| {
        assert_eq!(bytes, b"up\n");
        cancel.cancel();
    });
    assert!(matches!(error, Err(Error::Cancelled)), "{error:?}");
    let error = oneshot::run(fixture.root(), &step, Some(&cancel), &mut |_, _| panic!("it ran"));
    assert!(matches!(error, Err(Error::Cancelled)), "{error:?}");
    assert_clean(&fixture);
}

/// A caller in a process of its own: its arguments are a root and the folder of a step.
fn caller(fixture: &Fixture) -> Child {
    let mut child = Command::new("/proc/self/exe")
        .args(["command", "step-to-be-killed"])
        .arg(fixture.root().data())
        .arg(fixture.host("step.json"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    assert_eq!(&up, b"up\n");
    child
}

pub fn to_be_killed(words: Vec<OsString>) -> ExitCode {
    let root = Root::at(&words[0]);
    let step: Step = serde_json::from_slice(&fs::read(&words[1]).unwrap()).unwrap();
    oneshot::run(&root, &step, None, &mut |_, bytes| {
        std::io::stdout().write_all(bytes).unwrap();
        std::io::stdout().flush().unwrap();
    })
    .unwrap();
    ExitCode::SUCCESS
}

fn long(fixture: &Fixture) {
    let step = step(fixture, &["sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait"]);
    fs::write(fixture.host("step.json"), serde_json::to_vec(&step).unwrap()).unwrap();
}

fn nothing_outlives_a_killed_caller() {
    let fixture = Fixture::new();
    long(&fixture);
    let mut child = caller(&fixture);
    child.kill().unwrap();
    child.wait().unwrap();
    // the helper goes on for the moment that clearing away takes
    wait_until(|| fixture.root().run().join("steps/c").read_dir().unwrap().next().is_none());
    assert_clean(&fixture);
}

fn a_killed_helper_is_swept() {
    let fixture = Fixture::new();
    long(&fixture);
    let mut child = caller(&fixture);
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let helper: i32 = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(helper).unwrap(), Signal::KILL).unwrap();
    assert!(!child.wait().unwrap().success());
    let folders = fixture.root().run().join("steps/c");
    assert_eq!(folders.read_dir().unwrap().count(), 1);
    // what was its child, the kernel kills
    wait_until(|| {
        oneshot::sweep(fixture.root()).unwrap();
        folders.read_dir().unwrap().next().is_none()
    });
    assert_clean(&fixture);
}

fn many_at_once_from_threads() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let fixture = &fixture;
            scope.spawn(move || {
                let mut step = step(fixture, &["sh", "-c", "echo $NUMBER; echo $NUMBER >/number"]);
                step.env.push(format!("NUMBER={number}"));
                step.rootfs = snapshot(fixture, &format!("step-{number}"), step.rootfs.lower);
                assert_eq!(prints(fixture, &step), format!("{number}\n"));
                let written = fixture.host(&format!("step-{number}/upper/number"));
                assert_eq!(fs::read_to_string(written).unwrap(), format!("{number}\n"));
            });
        }
    });
    assert_clean(&fixture);
}

const USER: u32 = 54321;

fn an_ordinary_user_s() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(USER), Some(USER)).unwrap();
    let output = Command::new("/proc/self/exe")
        .args(["command", "step-of-a-user"])
        .env("TMPDIR", directory.path())
        .uid(USER)
        .gid(USER)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

pub fn of_a_user() -> ExitCode {
    let fixture = Fixture::new();
    assert_eq!(shell(&fixture, "id -u; echo new >/tmp/new; rm /data/from-image"), "0\n");
    let upper = fixture.host("step/upper");
    let new = fs::metadata(upper.join("tmp/new")).unwrap();
    assert_eq!((new.uid(), new.len()), (USER, 4));
    let mut wasm = step(&fixture, &["/kit.wasm", "echo", "hello"]);
    wasm.engine = EngineKind::Wasm;
    wasm.rootfs = snapshot(&fixture, "wasm", vec![layer(&fixture, 'a')]);
    assert_eq!(prints(&fixture, &wasm), "hello\n");
    let folder: &Path = &fixture.root().run().join("steps/c");
    assert!(folder.read_dir().unwrap().next().is_none());
    ExitCode::SUCCESS
}
