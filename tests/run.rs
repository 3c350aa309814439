//! `run`: what the container gets, and what its end means.

use crate::harness::Knarr;

#[test]
fn a_native_container_gets_what_was_asked_for() {
    let knarr = Knarr::new().with_busybox();
    let run = |options: &[&str], command: &[&str]| {
        let all = [&["run", "--rm"], options, &["busybox"], command].concat();
        knarr.ok(&all)
    };
    assert_eq!(run(&[], &["echo", "a b", "c"]), "a b c");
    assert_eq!(run(&["-w", "/tmp"], &["pwd"]), "/tmp");
    assert_eq!(run(&["-e", "A=1", "-e", "B=x=y"], &["sh", "-c", "echo $A $B"]), "1 x=y");
    assert_eq!(run(&["-u", "1000:1000"], &["sh", "-c", "id -u; id -g"]), "1000\n1000");
    assert_eq!(run(&["-u", "ana", "--group-add", "crew"], &["id", "-G"]), "1000 2000");
    assert_eq!(run(&["-h", "ship", "--network", "none"], &["hostname"]), "ship");
    assert_eq!(run(&["--entrypoint", "echo"], &["x"]), "x");
    assert_eq!(
        run(&["--add-host", "port:10.1.2.3"], &["grep", "port", "/etc/hosts"]),
        "10.1.2.3\tport"
    );
    assert_eq!(
        run(&["--ulimit", "nofile=100:200"], &["sh", "-c", "ulimit -n; ulimit -Hn"]),
        "100\n200"
    );
    assert_eq!(
        run(&["--init"], &["sh", "-c", "echo $$ | grep -vx 1 >/dev/null && echo not 1"]),
        "not 1"
    );
    let said = knarr.run(&["run", "--rm", "--read-only", "busybox", "touch", "/x"]).code(1).stderr;
    assert!(said.contains("Read-only file system"), "{said}");
}

#[test]
fn a_wasm_container_gets_what_was_asked_for() {
    let knarr = Knarr::new().with_kit();
    let run = |options: &[&str], command: &[&str]| {
        let all = [&["run", "--rm"], options, &["kit"], command].concat();
        knarr.ok(&all)
    };
    assert_eq!(run(&[], &["echo", "a b", "c"]), "a b c");
    assert_eq!(run(&[], &["args", "a b", ""]), r#"Some("/kit.wasm") ["a b", ""]"#);
    assert!(run(&["-e", "A=1"], &["env"]).lines().any(|line| line == "A=1"));
    assert_eq!(run(&[], &["ls", "/"]), "kit.wasm\ntmp/");
    let volume = format!("{}:/data", knarr.files().join("data").display());
    std::fs::create_dir(knarr.files().join("data")).unwrap();
    run(&["-v", &volume], &["write", "/data/x", "kept"]);
    assert_eq!(std::fs::read_to_string(knarr.files().join("data/x")).unwrap(), "kept");
    assert_eq!(run(&["-v", &volume], &["cat", "/data/x"]), "kept");
    let read_only = format!("{volume}:ro");
    let arguments = ["run", "--rm", "-v", &read_only, "kit", "write", "/data/x", "lost"];
    knarr.run(&arguments).code(1);
    assert_eq!(std::fs::read_to_string(knarr.files().join("data/x")).unwrap(), "kept");
}

#[test]
fn standard_input_reaches_the_container_only_if_asked() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for image in ["busybox", "kit"] {
        let cat = ["run", "--rm", "-i", image, "cat"];
        assert_eq!(knarr.run_with_input(&cat, b"hello\n").ok(), "hello");
        let large = vec![b'x'; 3 << 20];
        assert_eq!(knarr.run_with_input(&cat, &large).code(0).stdout.len(), large.len());
        assert_eq!(knarr.run_with_input(&["run", "--rm", image, "cat"], b"hello\n").ok(), "");
    }
}

#[test]
fn the_outputs_stay_apart() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let ended =
        knarr.run(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]).code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
    let ended = knarr.run(&["run", "--rm", "kit", "log", "1", "0"]).code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out 0\n", "err 0\n"));
}

#[test]
fn exit_codes_are_the_containers() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for (arguments, code) in [
        (&["busybox", "sh", "-c", "exit 7"][..], 7),
        (&["kit", "exit", "7"], 7),
        (&["busybox", "sh", "-c", "kill -TERM $$"], 143),
        (&["busybox", "sh", "-c", "kill -KILL $$"], 137),
        (&["kit", "panic"], 134),
        (&["kit", "overflow"], 134),
        (&["busybox", "nothere"], 127),
        (&["busybox", "/etc/passwd"], 126),
        (&["busybox", "/tmp"], 126),
        (&["--entrypoint", "/nothere.wasm", "kit"], 127),
    ] {
        // a shell as process 1 is not killed by signals it has no handler for
        let all = [&["run", "--rm"], arguments].concat();
        let code = match arguments {
            ["busybox", "sh", "-c", script] if script.starts_with("kill -TERM") => {
                let all = ["run", "--rm", "--init", "busybox", "sh", "-c", script];
                knarr.run(&all).code(code);
                continue;
            }
            ["busybox", "sh", "-c", script] if script.starts_with("kill -KILL") => {
                let all = ["run", "--rm", "--init", "busybox", "sh", "-c", script];
                knarr.run(&all).code(code);
                continue;
            }
            _ => code,
        };
        knarr.run(&all).code(code);
    }
    knarr.fails(125, &["run", "--rm", "--memory", "banana", "busybox"]);
    knarr.fails(125, &["run", "--pull", "never", "nothere"]);
}

#[test]
fn nothing_is_left_of_a_container_that_did_not_start() {
    let knarr = Knarr::new().with_busybox();
    knarr.fails(127, &["run", "--rm", "busybox", "nothere"]);
    assert!(knarr.containers().is_empty());
    knarr.fails(127, &["run", "--name", "kept", "busybox", "nothere"]);
    assert_eq!(knarr.inspect("kept", "{{.State.Status}}"), "created");
    knarr.fails(127, &["run", "--rm", "-d", "busybox", "nothere"]);
    assert_eq!(knarr.containers().len(), 1);
}

#[test]
fn options_after_the_image_belong_to_the_container() {
    let knarr = Knarr::new().with_busybox();
    assert_eq!(
        knarr.ok(&["run", "--rm", "busybox", "echo", "--rm", "-d", "--", "x"]),
        "--rm -d -- x"
    );
    assert_eq!(
        knarr.ok(&["run", "--rm", "--entrypoint", "echo", "busybox", "--name", "y"]),
        "--name y"
    );
    assert_eq!(knarr.ok(&["run", "--rm", "--", "busybox", "echo", "z"]), "z");
}

#[test]
fn switches_take_values_and_combine() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["create", "-it", "--rm=false", "--read-only=true", "busybox"]);
    assert_eq!(
        knarr.inspect(&id, "{{.Config.OpenStdin}} {{.Config.Tty}} {{.HostConfig.AutoRemove}} {{.HostConfig.ReadonlyRootfs}}"),
        "true true false true"
    );
    let id = knarr.ok(&["create", "--rm", "--rm=false", "busybox"]);
    assert_eq!(knarr.inspect(&id, "{{.HostConfig.AutoRemove}}"), "false");
}

#[test]
fn environment_comes_from_files_and_from_here() {
    let knarr = Knarr::new().with_busybox();
    let file = knarr.file("env", "# note\nA=1\n\nB=two words\nFROM_HERE\n");
    let file = file.to_str().unwrap();
    let script = "echo $A/$B/$FROM_HERE/$ALSO";
    let arguments = [
        "run",
        "--rm",
        "--env-file",
        file,
        "-e",
        "A=3",
        "-e",
        "ALSO",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    let ended = knarr.run_with(&arguments, |command| {
        command.env("FROM_HERE", "here").env("ALSO", "also");
    });
    assert_eq!(ended.ok(), "3/two words/here/also");
}

#[test]
fn a_cidfile_holds_the_id_and_is_never_overwritten() {
    let knarr = Knarr::new().with_busybox();
    let file = knarr.files().join("cid");
    let path = file.to_str().unwrap();
    let id = knarr.ok(&["run", "-d", "--cidfile", path, "busybox", "true"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), id);
    let said = knarr.fails(125, &["run", "--cidfile", path, "busybox", "true"]);
    assert!(said.contains("exists already"), "{said}");
}

#[test]
fn what_has_no_meaning_for_wasm_is_refused() {
    let knarr = Knarr::new().with_kit();
    for (option, flag) in [
        (&["--privileged"][..], "--privileged"),
        (&["--cap-add", "NET_ADMIN"], "--cap-add"),
        (&["--init"], "--init"),
        (&["--security-opt", "seccomp=unconfined"], "--security-opt seccomp"),
        (&["--group-add", "1"], "--group-add"),
        (&["--shm-size", "1m"], "--shm-size"),
    ] {
        let said = knarr.fails(125, &[&["run", "--rm"], option, &["kit", "hello"]].concat());
        assert!(said.contains(flag), "{flag}: {said}");
    }
    assert!(knarr.containers().is_empty());
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_in_the_log() {
    use std::process::{Command, Stdio};
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    knarr.ok(&["create", "--name", "made", "busybox", "seq", "20000"]);
    let commands: [&[&str]; 4] = [
        &["run", "--name", "kept", "busybox", "seq", "20000"],
        &["run", "--rm", "busybox", "echo", "x"],
        &["start", "-a", "made"],
        &["exec", "box", "echo", "x"],
    ];
    for words in commands {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_knarr"));
        command.env("KNARR_ROOT", knarr.root()).args(words);
        let ended = command.stdout(full).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("standard output") && said.contains("No space left"), "{said}");
    }
    for name in ["kept", "made"] {
        assert_eq!(knarr.inspect(name, "{{.State.ExitCode}}"), "0");
        assert_eq!(knarr.ok(&["logs", name]).lines().count(), 20000);
    }
    assert_eq!(knarr.ok(&["ps", "-aq"]).lines().count(), 3);
}

#[test]
fn who_interrupts_three_times_gets_out() {
    use crate::harness::proc::{Process, until};
    use rustix::process::Signal;
    let knarr = Knarr::new().with_busybox();
    let interrupt = |id: u32| {
        let process = Process::open(id as i32).unwrap();
        until("signals are listened to", || process.has("SigBlk", Signal::INT));
        for _ in 0..3 {
            process.signal(Signal::INT);
            // two that come together are one
            until("it is taken", || !process.has("ShdPnd", Signal::INT));
        }
    };
    // process 1 has no handlers: the kernel does not deliver these
    let run = ["run", "--name", "box", "busybox", "sleep", "1000"];
    let child = knarr.start(&run, std::process::Stdio::null());
    let running =
        || knarr.run(&["inspect", "-f", "{{.State.Status}}", "box"]).stdout == "running\n";
    until("it runs", running);
    interrupt(child.id());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));
    // who is attached leaves, and the container goes on
    knarr.ok(&["start", "box"]);
    let child = knarr.start(&["attach", "--no-stdin", "box"], std::process::Stdio::null());
    interrupt(child.id());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("knarr kill"));
    assert!(running());
}

#[test]
fn everybody_may_enter_the_root_directory() {
    use crate::harness::image::Tar;
    let knarr = Knarr::new();
    let mut tar = Tar::new();
    tar.directory("./", 0o700);
    tar.file("bin/busybox", 0o755, &std::fs::read("/bin/busybox").unwrap());
    knarr.import(
        "closed",
        "linux/amd64",
        &[r#"CMD ["/bin/busybox","stat","-c","%a %u:%g","/"]"#],
        &tar.finish(),
    );
    assert_eq!(knarr.ok(&["run", "--rm", "-u", "1000", "closed"]), "755 0:0");
}
