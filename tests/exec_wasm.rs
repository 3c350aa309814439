//! `exec` in a Wasm container, and probes of its health by a module: a further guest, where the first one is.

use crate::harness::image::{Tar, guest};
use crate::harness::proc::{self, Process, until};
use crate::harness::{Knarr, NewUser};
use crate::health::{BY_HAND, last, probe};

/// The image `two`: a server that opens no files, and the kit.
fn with_two(knarr: Knarr) -> Knarr {
    let mut tar = Tar::new();
    tar.file("app.wasm", 0o755, &guest("httpd.p2.wasm"));
    tar.file("bin/kit.wasm", 0o755, &guest("kit.p1.wasm"));
    tar.file("notes.txt", 0o644, b"no module\n");
    tar.directory("tmp", 0o1777);
    let changes = [r#"ENTRYPOINT ["/app.wasm"]"#, "ENV PATH=/bin A=1", "EXPOSE 8080"];
    knarr.import("two", "wasi/wasm", &changes, &tar.finish());
    knarr
}

const KIT: &str = "kit.wasm";

#[test]
fn a_further_guest_is_where_the_first_one_is() {
    let knarr = with_two(Knarr::new());
    let own = ["--tmpfs", "/scratch", "-v", "data:/data", "-m", "64m", "-w", "/tmp", "-e", "B=2"];
    // with mounts, and as the server alone would be: without a root file system
    for (name, options) in [("plain", &[][..]), ("own", &own)] {
        knarr.ok(&[&["run", "-d", "--name", name], options, &["two"]].concat());
        let exec = |words: &[&str]| knarr.ok(&[&["exec", name, KIT], words].concat());
        assert_eq!(exec(&["echo", "a b", "c"]), "a b c", "{name}");
        let env = exec(&["env"]);
        assert!(env.contains("A=1") && (name == "plain" || env.contains("B=2")), "{env}");
        let env = knarr.ok(&["exec", "-e", "A=9", "-e", "C=3", name, "/bin/kit.wasm", "env"]);
        assert!(env.contains("A=9") && env.contains("C=3") && !env.contains("A=1"), "{env}");
        exec(&["write", "/tmp/x", "kept"]);
        assert_eq!(exec(&["cat", "/tmp/x"]), "kept");
        assert_eq!(knarr.ok(&["exec", "-w", "/tmp", name, KIT, "cat", "x"]), "kept");
        assert_eq!(knarr.run_with_input(&["exec", "-i", name, KIT, "cat"], b"in\n").ok(), "in");
        for (words, code) in [
            (&[KIT, "exit", "9"][..], 9),
            (&[KIT, "panic"], 134),
            (&["nothere.wasm"], 127),
            (&["/notes.txt"], 126),
        ] {
            let ended = knarr.run(&[&["exec", name], words].concat());
            assert_eq!(ended.code, code, "{words:?}: {ended:?}");
        }
        assert!(knarr.fails(1, &["exec", "--privileged", name, KIT]).contains("--privileged"));
        knarr.ok(&["exec", "-d", name, KIT, "write", "/tmp/later", "done"]);
        until("it has written", || {
            knarr.run(&["exec", name, KIT, "cat", "/tmp/later"]).stdout == "done"
        });
    }
    let exec = |words: &[&str]| knarr.ok(&[&["exec", "own", KIT], words].concat());
    for place in ["/scratch", "/data"] {
        exec(&["write", &format!("{place}/x"), place]);
        assert_eq!(exec(&["cat", &format!("{place}/x")]), place);
    }
    assert_eq!(
        knarr.ok(&["run", "--rm", "--entrypoint", KIT, "-v", "data:/d", "two", "cat", "/d/x"]),
        "/data"
    );
    let said = knarr.fails(127, &["exec", "own", "nothere.wasm"]);
    assert!(said.contains("/app.wasm, /bin/kit.wasm") && !said.contains("notes"), "{said}");
    knarr.ok(&["pause", "own"]);
    assert!(knarr.fails(1, &["exec", "own", KIT, "echo"]).contains("paused"));
    knarr.ok(&["unpause", "own"]);
    knarr.run(&["run", "--rm", "--read-only", "--name", "fixed", "-d", "two"]).ok();
    knarr.run(&["exec", "fixed", KIT, "write", "/tmp/x", "y"]).code(1);
}

#[test]
fn a_further_guest_is_confined_and_ends_with_the_container() {
    let knarr = with_two(Knarr::new());
    knarr.ok(&["run", "-d", "--name", "box", "-m", "64m", "two"]);
    let running =
        knarr.start(&["exec", "box", KIT, "log", "100000", "10"], std::process::Stdio::null());
    let first: i32 = knarr.inspect("box", "{{.State.Pid}}").parse().unwrap();
    let status = |id: i32, name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    // the children of the monitor's other children
    let monitor = knarr.inspect("box", "{{.Knarr.MonitorPid}}");
    let children = |id: &str| {
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let further = || {
        let helpers = children(&monitor).into_iter().filter(|id| *id != first.to_string());
        let found: Vec<String> = helpers.flat_map(|id| children(&id)).collect();
        found.first().and_then(|id| id.parse::<i32>().ok())
    };
    until("it is confined", || {
        further().is_some_and(|id| status(id, "Seccomp:").as_deref() == Some("2"))
    });
    let id = further().unwrap();
    assert_eq!(status(id, "CapEff:"), status(first, "CapEff:"));
    assert_eq!(status(id, "CapEff:").unwrap(), "0000000000000000");
    let link = |id: i32, kind: &str| std::fs::read_link(format!("/proc/{id}/ns/{kind}")).unwrap();
    assert_eq!(link(id, "net"), link(first, "net"));
    let cgroup = |id: i32| std::fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap();
    until("it is in the container's control group", || cgroup(id) == cgroup(first));
    // it is one of the container's processes
    let top = knarr.ok(&["top", "box"]);
    let row = |id: i32| top.lines().find(|l| l.split_whitespace().nth(1) == Some(&id.to_string()));
    assert!(row(first).unwrap().ends_with("/app.wasm"), "{top}");
    assert!(row(id).unwrap().ends_with("kit.wasm log 100000 10"), "{top}");
    knarr.ok(&["pause", "box"]);
    until("both stand still", || {
        [first, id].iter().all(|id| status(*id, "State:").is_some_and(|s| s.starts_with('T')))
    });
    knarr.ok(&["unpause", "box"]);
    until("both go on", || {
        [first, id].iter().all(|id| status(*id, "State:").is_some_and(|s| !s.starts_with('T')))
    });
    let threads = |id: i32| status(id, "Threads:").unwrap().parse::<u32>().unwrap();
    let stats = knarr.ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]);
    assert!(stats.parse::<u32>().unwrap() > threads(first), "{stats}");
    let process = Process::open(id).unwrap();
    knarr.ok(&["stop", "box"]);
    process.ended();
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(143));
    // whoever kills the monitor ends it as well
    knarr.ok(&["start", "box"]);
    let monitor: i32 = knarr.inspect("box", "{{.Knarr.MonitorPid}}").parse().unwrap();
    let running =
        knarr.start(&["exec", "box", KIT, "log", "100000", "10"], std::process::Stdio::null());
    until("it runs", || children(&monitor.to_string()).len() == 2);
    Process::open(monitor).unwrap().kill();
    assert_ne!(running.wait_with_output().unwrap().status.code(), Some(0));
    until("no process is left", || proc::of_root(knarr.root()).is_empty());
}

#[test]
fn a_further_guest_reaches_the_first_one_on_the_loopback() {
    let knarr = Knarr::new();
    let mut tar = Tar::new();
    for name in ["httpd", "tcpd", "tcpc"] {
        tar.file(&format!("bin/{name}"), 0o755, &guest(&format!("{name}.p2.wasm")));
    }
    knarr.import("net", "wasi/wasm", &["ENV PATH=/bin"], &tar.finish());
    // one that the engine listens for, one that listens itself, at all addresses
    for (command, request, answer) in [
        (&["httpd"][..], "GET /env HTTP/1.0\r\n\r\n", "200 OK"),
        (&["tcpd", "0.0.0.0:8080"], "hello\n", "hello"),
    ] {
        for ip in ["127.0.0.1", "localhost"] {
            let run = ["run", "-d", "--name", "box", "--expose", "8080", "net"];
            knarr.ok(&[&run, command].concat());
            let asked = || knarr.run(&["exec", "box", "tcpc", ip, "8080", request]);
            until("it answers", || asked().stdout.contains(answer));
            // a neighbour has a loopback of its own
            let other = knarr.run(&["run", "--rm", "net", "tcpc", ip, "8080", request]);
            assert_ne!(other.code, 0, "{other:?}");
            knarr.ok(&["rm", "-f", "box"]);
        }
    }
}

#[test]
fn a_signal_to_exec_is_the_further_guests() {
    let knarr = with_two(Knarr::new());
    knarr.ok(&["run", "-d", "--name", "box", "two"]);
    for (signal, code) in
        [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)]
    {
        let child =
            knarr.start(&["exec", "box", KIT, "log", "100000", "10"], std::process::Stdio::null());
        until("it runs", || knarr.ok(&["top", "box"]).contains("kit.wasm log"));
        let client = Process::open(child.id() as i32).unwrap();
        until("the client listens", || client.has("SigBlk", signal));
        client.signal(signal);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(code));
        assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "running");
    }
}

#[test]
fn a_further_guest_has_a_terminal() {
    let knarr = with_two(Knarr::new());
    knarr.ok(&["run", "-d", "--name", "box", "two"]);
    let mut terminal = knarr.at_terminal(&["exec", "-it", "box", KIT, "tty"]);
    terminal.shows("stdin=true stdout=true stderr=true");
    assert_eq!(terminal.code(), 0);
    let mut terminal = knarr.at_terminal(&["exec", "-it", "box", KIT, "cat"]);
    terminal.type_in("here''I am\r");
    terminal.shows("here''I am\r\nhere''I am");
    // ctrl-C ends the guest, not the container
    terminal.type_in("\u{3}");
    assert_eq!(terminal.code(), 130);
    let mut terminal = knarr.at_terminal(&["exec", "-it", "box", KIT, "cat"]);
    terminal.type_in("left\r");
    terminal.shows("left\r\nleft");
    terminal.type_in("\u{10}\u{11}");
    assert_ne!(terminal.code(), 130);
    assert!(knarr.ok(&["top", "box"]).contains("kit.wasm cat"));
}

#[test]
fn a_module_tells_whether_the_container_is_healthy() {
    let knarr = with_two(Knarr::new());
    for (test, code, output) in [
        (r#"["CMD", "/bin/kit.wasm", "echo", "a b"]"#, 0, "a b\n"),
        ("kit.wasm cat /notes.txt", 0, "no module\n"),
        ("kit.wasm exit 3", 3, ""),
        ("kit.wasm echo 'a  b'", 0, "a  b\n"),
    ] {
        knarr.ok(&["run", "-d", "--name", "box", BY_HAND, "--health-cmd", test, "two"]);
        assert_eq!(probe(&knarr, "box"), code == 0, "{test}");
        let last = last(&knarr, "box");
        assert_eq!((&last["ExitCode"], &last["Output"]), (&code.into(), &output.into()), "{test}");
        knarr.ok(&["rm", "-f", "box"]);
    }
    for (test, said) in [
        ("/nothere.wasm", "nothere.wasm"),
        ("kit.wasm exit 0 || exit 1", "is for a shell"),
        ("/notes.txt", "notes.txt"),
    ] {
        knarr.ok(&["run", "-d", "--name", "box", BY_HAND, "--health-cmd", test, "two"]);
        assert!(!probe(&knarr, "box"), "{test}");
        let last = last(&knarr, "box");
        assert_eq!(last["ExitCode"], -1);
        assert!(last["Output"].as_str().unwrap().contains(said), "{last}");
        knarr.ok(&["rm", "-f", "box"]);
    }
    // one that takes too long
    let options = [BY_HAND, "--health-timeout=300ms", "--health-cmd", "kit.wasm spin"];
    knarr.ok(&[&["run", "-d", "--name", "box"][..], &options, &["two"]].concat());
    assert!(!probe(&knarr, "box"));
    assert_eq!(last(&knarr, "box")["Output"], "Health check exceeded timeout (300ms): spinning\n");
    let monitor = knarr.inspect("box", "{{.Knarr.MonitorPid}}");
    let children = format!("/proc/{monitor}/task/{monitor}/children");
    let children = std::fs::read_to_string(children).unwrap();
    assert_eq!(children.trim(), knarr.inspect("box", "{{.State.Pid}}"), "nothing of it is left");
}

#[test]
fn an_ordinary_users_wasm_containers_too() {
    for user in [NewUser::new(), NewUser::alone()] {
        let knarr = with_two(Knarr::of_user(user.0.clone()));
        for (name, options) in [
            ("plain", &[][..]),
            ("volume", &["-v", "data:/tmp"]),
            ("carried", &["--network-backend", "loopback"]),
            ("host", &["--network", "host", "-p", "127.0.0.1::8080"]),
        ] {
            let test = [BY_HAND, "--health-cmd", "kit.wasm cat /tmp/ok"];
            knarr.ok(&[&["run", "-d", "--name", name], options, &test, &["two"]].concat());
            assert!(!probe(&knarr, name), "{name}");
            knarr.ok(&["exec", name, KIT, "write", "/tmp/ok", "yes"]);
            assert!(probe(&knarr, name), "{name}: {}", last(&knarr, name));
            knarr.ok(&["rm", "-f", name]);
        }
    }
}
