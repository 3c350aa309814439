//! The whole Wasm path needs no root: an ordinary user, made for the test, does everything.

use crate::harness::image::{Tar, guest};
use crate::harness::proc::until;
use crate::harness::{Knarr, NewUser};

#[test]
fn an_ordinary_user_runs_lists_logs_and_removes_wasm_containers() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_kit();
    assert!(knarr.ok(&["run", "--rm", "hello"]).contains("the wasi/wasm variant."));
    assert_eq!(knarr.ok(&["run", "--rm", "kit", "echo", "hi"]), "hi");
    assert_eq!(knarr.run_with_input(&["run", "--rm", "-i", "kit", "cat"], b"in\n").ok(), "in");

    let id = knarr.ok(&["run", "-d", "--name", "web", "kit", "log", "100000", "10"]);
    until("it runs", || knarr.ok(&["logs", "web"]).contains("out 1"));
    let owner = std::fs::metadata(format!("/proc/{}", knarr.inspect("web", "{{.State.Pid}}")));
    assert_ne!(std::os::unix::fs::MetadataExt::uid(&owner.unwrap()), 0);
    assert_eq!(knarr.ok(&["ps", "--format", "{{.Names}} {{.State}}"]), "web running");
    knarr.ok(&["stop", "web"]);
    assert_eq!(knarr.ok(&["wait", "web"]), "143");
    let last = knarr.run(&["logs", "--tail", "2", "web"]).code(0);
    assert!((last.stdout + &last.stderr).contains("out "));
    assert_eq!(knarr.ok(&["rm", "web"]), "web");
    knarr.assert_nothing_left(&[id].into());

    // the root file system can be written, and is the container's own
    knarr.ok(&["run", "--name", "writer", "kit", "write", "/tmp/x", "kept"]);
    knarr.run(&["run", "--rm", "kit", "cat", "/tmp/x"]).code(1);
    assert_eq!(knarr.ok(&["run", "--rm", "-v", "data:/data", "kit", "write", "/data/x", "y"]), "");
    assert_eq!(knarr.ok(&["run", "--rm", "-v", "data:/data", "kit", "cat", "/data/x"]), "y");

    let file = knarr.files().join("kit.tar");
    knarr.ok(&["save", "-o", file.to_str().unwrap(), "kit"]);
    knarr.ok(&["rm", "writer"]);
    knarr.ok(&["rmi", "kit"]);
    assert_eq!(knarr.ok(&["load", "-i", file.to_str().unwrap()]), "Loaded image: kit:latest");
    assert_eq!(knarr.ok(&["run", "--rm", "kit", "exit", "0"]), "");
}

#[test]
fn a_killed_monitor_of_an_ordinary_user_leaves_nothing() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_kit();
    let id = knarr.ok(&["run", "-d", "kit", "log", "100000", "10"]);
    let monitor = knarr.inspect(&id, "{{.Knarr.MonitorPid}}").parse().unwrap();
    let monitor = crate::harness::proc::Process::open(monitor).unwrap();
    monitor.kill();
    monitor.ended();
    assert_eq!(knarr.ok(&["ps", "-q"]), "");
    assert_eq!(knarr.inspect(&id, "{{.State.ExitCode}}"), "137");
}

#[test]
fn wasm_containers_of_an_ordinary_user_find_each_other_on_the_loopback() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone());
    for name in ["tcpd", "tcpc"] {
        let mut tar = Tar::new();
        tar.file("app.wasm", 0o755, &guest(&format!("{name}.p2.wasm")));
        knarr.import(name, "wasi/wasm", &[r#"ENTRYPOINT ["/app.wasm"]"#], &tar.finish());
    }
    knarr.ok(&["network", "create", "--driver", "loopback", "net"]);
    let on = ["--network", "net"];
    let serve = ["--name", "db", "-e", "HOSTNAME=db", "tcpd", "0.0.0.0:80"];
    knarr.ok(&[&["run", "-d"], &on[..], &serve].concat());
    until("it listens", || knarr.ok(&["logs", "db"]).contains("listening"));
    let ask = ["tcpc", "db", "80", "hello\n"];
    let said = knarr.ok(&[&["run", "--rm"], &on[..], &ask].concat());
    assert!(said.ends_with("db> hello"), "{said}");
    knarr.ok(&["rm", "-f", "db"]);
    knarr.ok(&["network", "rm", "net"]);
}

#[test]
fn an_ordinary_user_has_networks_with_names_and_published_ports() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox().with_kit();
    knarr.ok(&["network", "create", "mine"]);
    knarr.ok(&["network", "create", "other"]);
    let serve = "echo from the server > /tmp/page; exec httpd -f -p 80 -h /tmp";
    let run = ["run", "-d", "--name", "srv", "--network", "mine", "-p", "127.0.0.1::80"];
    let id = knarr.ok(&[&run[..], &["busybox", "sh", "-c", serve]].concat());
    let request = "printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | nc srv 80";
    let ask = |network: &str| {
        knarr.run(&["run", "--rm", "--network", network, "busybox", "sh", "-c", request])
    };
    until("the server answers by name", || ask("mine").stdout.contains("from the server"));
    assert!(!ask("other").stdout.contains("from the server"));

    // whoever connects from the host gets there, although it has no bridge
    let port = knarr.ok(&["port", "srv", "80"]);
    let mut stream = std::net::TcpStream::connect(port).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /page HTTP/1.0\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.contains("from the server"), "{answer}");

    // a killed monitor gives its address back
    let monitor = knarr.inspect(&id, "{{.Knarr.MonitorPid}}").parse().unwrap();
    let monitor = crate::harness::proc::Process::open(monitor).unwrap();
    monitor.kill();
    monitor.ended();
    assert_eq!(knarr.ok(&["ps", "-q"]), "");
    assert_eq!(knarr.ok(&["network", "inspect", "mine", "-f", "{{json .Containers}}"]), "{}");
    knarr.ok(&["rm", "srv"]);
    knarr.ok(&["network", "rm", "mine", "other"]);
    assert_eq!(knarr.ok(&["network", "ls", "-q", "--filter", "type=custom"]), "");
}

#[test]
fn a_running_wasm_container_of_an_ordinary_user_is_connected_and_disconnected() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    for (name, module) in [("tcpd", "tcpd.p2.wasm"), ("httpd", "httpd.p2.wasm")] {
        let mut tar = Tar::new();
        tar.file("app.wasm", 0o755, &guest(module));
        let config = [r#"ENTRYPOINT ["/app.wasm"]"#, "EXPOSE 80"];
        knarr.import(name, "wasi/wasm", &config, &tar.finish());
    }
    for network in ["one", "two"] {
        knarr.ok(&["network", "create", network]);
    }
    let run = |name: &str, rest: &[&str]| {
        let own = format!("HOSTNAME={name}");
        let run = ["run", "-d", "--name", name, "-e", &own, "--network", "one"];
        knarr.ok(&[&run, rest].concat())
    };
    run("db", &["tcpd", "0.0.0.0:80"]);
    run("web", &["httpd"]);
    until("it listens", || knarr.ok(&["logs", "db"]).contains("listening"));
    let ask = |name: &str| {
        let request =
            format!("printf 'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' | nc -w 3 {name} 80");
        let ask = ["run", "--rm", "--network", "two", "--dns", "127.0.0.1", "busybox", "sh", "-c"];
        knarr.run(&[&ask[..], &[&request]].concat()).stdout
    };
    for (name, body) in [("db", "db"), ("web", "hello")] {
        assert_eq!(ask(name), "");
        knarr.ok(&["network", "connect", "two", name]);
        until("it is reached", || ask(name).contains(body));
        knarr.ok(&["network", "disconnect", "two", name]);
        assert_eq!(ask(name), "");
        let said = knarr.fails(1, &["network", "disconnect", "two", name]);
        assert!(said.contains("is not on network two"), "{said}");
    }
    knarr.ok(&["rm", "-f", "db", "web"]);
    knarr.ok(&["network", "rm", "one", "two"]);
}

/// A container that is published where this user may not, or where somebody is already.
#[test]
fn an_ordinary_user_is_told_how_to_publish() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).on_host_with(&["pasta"]).with_busybox();
    for (name, module) in [("tcpd", "tcpd.p2.wasm"), ("httpd", "httpd.p2.wasm")] {
        let mut tar = Tar::new();
        tar.file("app.wasm", 0o755, &guest(module));
        let config = [r#"ENTRYPOINT ["/app.wasm"]"#, "EXPOSE 80"];
        knarr.import(name, "wasi/wasm", &config, &tar.finish());
    }
    knarr.ok(&["network", "create", "--driver", "loopback", "near"]);
    let taken = knarr.host().inside(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let taken = taken.local_addr().map(|at| (at.port(), taken)).unwrap();
    let low = ["net.ipv4.ip_unprivileged_port_start=80", "-p 8080:"];
    let used = ["publish on another port"];
    let occupied = format!("127.0.0.1:{}:80", taken.0);
    for (words, expected) in [
        (&["-p", "80:80", "busybox", "true"][..], &low[..]),
        (&["-p", "80:80/udp", "busybox", "true"], &low),
        (&["-p", "127.0.0.1:80:80", "httpd"], &low),
        (&["-p", "[::1]:80:80", "tcpd", "0.0.0.0:80"], &low),
        (&["--network", "near", "-p", "80:80", "httpd"], &low),
        (&["--network", "near", "-p", "80:80", "tcpd", "0.0.0.0:80"], &low),
        (&["--network", "host", "-p", "80:80", "httpd"], &low),
        (&["-p", &occupied, "busybox", "true"], &used),
        (&["--network", "near", "-p", &occupied, "tcpd", "0.0.0.0:80"], &used),
        (&["--network", "host", "-p", &occupied, "httpd"], &used),
    ] {
        let said = knarr.fails(125, &[&["run", "--rm"], words].concat());
        for text in expected {
            assert!(said.contains(text), "{words:?}: {said}");
        }
    }
    knarr.ok(&["network", "rm", "near"]);
}

#[test]
fn limits_that_an_ordinary_user_may_not_set_are_named_as_they_were_written() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox().with_kit();
    for (option, value) in [
        ("--cpus", "0.5"),
        ("--memory", "100m"),
        ("--memory-reservation", "1g"),
        ("--pids-limit", "20"),
        ("--cpu-shares", "512"),
        ("--cpuset-cpus", "0"),
    ] {
        let said = knarr.fails(125, &["run", "--rm", option, value, "busybox", "true"]);
        let expected = format!("{option} {value} cannot be enforced: ");
        assert!(said.contains(&expected) && said.contains("Delegate=yes"), "{said}");
    }
    let said = knarr.fails(125, &["run", "--rm", "--cpus", "0.5", "kit", "echo", "hi"]);
    assert!(said.contains("--cpus 0.5 cannot be enforced"), "{said}");
    assert_eq!(knarr.ok(&["run", "--rm", "-m", "100m", "kit", "echo", "hi"]), "hi");
    let said = knarr.fails(125, &["run", "--rm", "-m", "100k", "busybox", "true"]);
    assert!(said.contains("--memory 100k is below the smallest limit of 6m"), "{said}");
    let said = knarr.build("FROM busybox\nRUN true", &["--memory", "100m"]).code(1).stderr;
    assert!(said.contains("--memory 100m cannot be enforced"), "{said}");
}
