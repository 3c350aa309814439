//! Probes that connect: no program in the image, and no process.

use super::{BY_HAND, SHORT, STATUS, last, probe, start};
use crate::harness::image::{Tar, busybox, guest};
use crate::harness::proc::until;
use crate::harness::{Knarr, NewUser};

/// What a probe of a container says when it is as it should be.
#[track_caller]
fn turns(knarr: &Knarr, name: &str, healthy: bool) -> String {
    // the server may take a moment
    until(&format!("{name} is {healthy}"), || probe(knarr, name) == healthy);
    last(knarr, name)["Output"].as_str().unwrap().to_owned()
}

const SERVE: &str = "mkdir /www; echo hello > /www/page; exec httpd -f -p 8080 -h /www";

#[test]
fn servers_of_native_containers() {
    let knarr = Knarr::new().with_busybox();
    for (network, url, healthy, said) in [
        ("bridge", "http://:8080/page", true, "HTTP/1.1 200 OK"),
        ("bridge", "HTTP://localhost:8080/page?a=b#c", true, "HTTP/1.1 200 OK"),
        ("none", "http://127.0.0.1:8080/page", true, "HTTP/1.1 200 OK"),
        ("none", "http://[::1]:8080/page", true, "HTTP/1.1 200 OK"),
        ("bridge", "http://:8080/missing", false, "HTTP/1.1 404 Not Found"),
        ("none", "tcp://:8080", true, "connected to 127.0.0.1:8080"),
        ("bridge", "tcp://:8081", false, "cannot connect to 127.0.0.1:8081: Connection refused"),
    ] {
        for list in [url.to_owned(), format!("[\"CMD\", {url:?}]")] {
            let options = [BY_HAND, "--network", network, "--health-cmd", &list];
            start(&knarr, "box", &options, &["sh", "-c", SERVE]);
            // a server that is not there yet refuses, too
            start(
                &knarr,
                "up",
                &[SHORT, "--network=container:box", "--health-cmd=tcp://:8080"],
                &["sleep", "1000"],
            );
            knarr.ok(&["wait", "--condition=healthy", "up"]);
            let output = turns(&knarr, "box", healthy);
            assert!(output.starts_with(said), "{network} {url}: {output}");
            knarr.ok(&["rm", "-f", "box", "up"]);
        }
    }
}

#[test]
fn an_image_that_has_nothing_but_its_program() {
    let knarr = Knarr::new();
    let mut bare = Tar::new();
    bare.file("busybox", 0o755, &super::busybox_program());
    bare.file("page", 0o644, b"hello\n");
    let cmd = r#"CMD ["/busybox", "httpd", "-f", "-p", "80", "-h", "/"]"#;
    let check = "HEALTHCHECK --interval=20ms CMD http://localhost/page";
    knarr.import("bare", "linux/amd64", &[cmd, check], &bare.finish());
    let id = knarr.ok(&["run", "-d", "bare"]);
    knarr.ok(&["wait", "--condition", "healthy", &id]);
    // nothing but the container's own process was ever started
    let monitor = knarr.inspect(&id, "{{.Knarr.MonitorPid}}");
    let children = format!("/proc/{monitor}/task/{monitor}/children");
    for _ in 0..20 {
        assert!(probe(&knarr, &id));
        let children = std::fs::read_to_string(&children).unwrap();
        assert_eq!(children.trim(), knarr.inspect(&id, "{{.State.Pid}}"));
    }
}

#[test]
fn servers_that_do_not_answer_as_they_should() {
    let knarr = Knarr::new().with_busybox();
    for (serve, test, said) in [
        ("nc -l -p 8080 < /dev/zero > /dev/null", "http://:8080/", "does not speak HTTP"),
        ("echo hello | nc -l -p 8080", "http://:8080/", "does not speak HTTP"),
        ("nc -l -p 8080 < /dev/null -e true", "http://:8080/", "127.0.0.1:8080"),
        ("sleep 1000 | nc -l -p 8080", "http://:8080/", "Health check exceeded timeout (300ms): "),
    ] {
        let options =
            [BY_HAND, "--health-timeout=300ms", "--health-retries=1", "--health-cmd", test];
        start(&knarr, "box", &options, &["sh", "-c", &format!("{serve}; sleep 1000")]);
        let output = || last(&knarr, "box")["Output"].as_str().unwrap().to_owned();
        until(said, || {
            assert!(!probe(&knarr, "box"));
            !output().contains("refused")
        });
        assert!(output().contains(said), "{serve}: {}", output());
        assert_eq!(knarr.inspect("box", STATUS), "unhealthy");
        knarr.ok(&["rm", "-f", "box"]);
    }
}

fn import(knarr: &Knarr, name: &str, module: &str) {
    let mut tar = Tar::new();
    tar.file("app.wasm", 0o755, &guest(module));
    let changes = [r#"ENTRYPOINT ["/app.wasm"]"#, "EXPOSE 8080"];
    knarr.import(name, "wasi/wasm", &changes, &tar.finish());
}

#[test]
fn servers_of_wasm_containers() {
    let knarr = Knarr::new().with_kit();
    import(&knarr, "httpd", "httpd.p2.wasm");
    knarr.ok(&["network", "create", "--subnet", "10.213.7.0/24", "net"]);
    let run = |name: &str, options: &[&str], image: &[&str]| {
        knarr.ok(&[&["run", "-d", "--name", name, BY_HAND], options, image].concat());
    };
    let near = ["--network", "net", "--ip", "10.213.7.9"];
    for (options, test, healthy, said) in [
        (&[][..], "http://:8080/env", true, "HTTP/1.1 200"),
        (&["-p", "127.0.0.1::8080"], "http://localhost:8080/env", true, "HTTP/1.1 200"),
        (&near, "tcp://10.213.7.9:8080", true, "connected to 10.213.7.9:8080"),
        (&near, "tcp://127.0.0.1:8080", true, "connected to "),
        (&near, "http://:8080/nothing-here", false, "HTTP/1.1 404"),
        (&near, "tcp://:8081", false, "cannot connect to "),
        // an address of somebody else is none of the container's business
        (&near, "tcp://10.213.7.1:80", false, "10.213.7.1 is not an address of the container"),
        (&["--network=none"], "tcp://:8080", false, "the container has no network"),
        (
            &["--network=host", "-p", "127.0.0.1:18763:8080"],
            "http://:8080/env",
            true,
            "HTTP/1.1 200",
        ),
    ] {
        let image = if options == ["--network=none"] {
            &["kit", "log", "100000", "10"][..]
        } else {
            &["httpd"]
        };
        run("box", &[options, &["--health-cmd", test]].concat(), image);
        let output = turns(&knarr, "box", healthy);
        assert!(output.starts_with(said), "{options:?} {test}: {output}");
        knarr.ok(&["rm", "-f", "box"]);
    }
    // what follows is the same for both kinds
    let kit = ["kit", "log", "100000", "10"];
    let failing = ["--health-cmd=tcp://:1", "--health-retries=1", SHORT];
    let state = "{{.State.Status}} {{.State.ExitCode}} {{.State.Health.Status}}";
    for (action, expected) in [("kill", "exited 137 unhealthy"), ("stop", "exited 143 unhealthy")] {
        let action = format!("--health-on-failure={action}");
        run("box", &[&failing[..], &[&action]].concat(), &kit);
        until(&action, || knarr.inspect("box", state) == expected);
        knarr.ok(&["rm", "-f", "box"]);
    }
    run("box", &[&failing[..], &["--health-on-failure=restart"]].concat(), &kit);
    until("it is started again", || knarr.inspect("box", "{{.RestartCount}}") != "0");
    knarr.ok(&["rm", "-f", "box"]);
}

#[test]
fn servers_of_an_ordinary_user() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone());
    knarr.import("busybox", "linux/amd64", &[], &busybox());
    import(&knarr, "httpd", "httpd.p2.wasm");
    let tests = ["--health-cmd", "http://:8080/env"];
    for (name, options) in [
        ("bridge", &[][..]),
        ("carried", &["--network-backend", "loopback"]),
        ("host", &["--network", "host", "-p", "127.0.0.1:18764:8080"]),
    ] {
        knarr.ok(&[&["run", "-d", "--name", name, BY_HAND], options, &tests, &["httpd"]].concat());
        assert!(turns(&knarr, name, true).starts_with("HTTP/1.1 200"), "{name}");
        knarr.ok(&["stop", name]);
    }
    for network in ["bridge", "none"] {
        let options = [BY_HAND, "--network", network, "--health-cmd", "http://:8080/page"];
        start(&knarr, "native", &options, &["sh", "-c", SERVE]);
        assert!(turns(&knarr, "native", true).starts_with("HTTP/1.1 200"), "{network}");
        knarr.ok(&["rm", "-f", "native"]);
    }
}
