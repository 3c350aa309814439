//! Namespaces, devices and settings that a container is given on request, seen from outside.

use crate::harness::{Knarr, NewUser, proc};
use crate::limits::of_cgroup;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// A sleeping container with these options.
pub fn started(knarr: &Knarr, options: &[&str]) -> String {
    knarr.ok(&[&["run", "-d"], options, &["busybox", "sleep", "1000"]].concat())
}

/// A namespace of a container's first process, or of this one.
fn namespace(knarr: &Knarr, container: Option<&str>, name: &str) -> PathBuf {
    let process = match container {
        Some(id) => knarr.inspect(id, "{{.State.Pid}}"),
        None => "self".to_owned(),
    };
    std::fs::read_link(format!("/proc/{process}/ns/{name}")).unwrap()
}

pub fn folder_of(knarr: &Knarr, id: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}", knarr.inspect(id, "{{.State.Pid}}")))
}

/// What a container says that asks for port 1 of another one, where nobody listens.
fn asked(knarr: &Knarr, id: &str, name: &str) -> String {
    knarr.run(&["exec", id, "wget", "-O-", &format!("http://{name}:1/")]).stderr
}

#[test]
fn namespaces_of_the_host_on_request() {
    let knarr = Knarr::new().with_busybox();
    for (options, shared, field, value) in [
        (&["--pid", "host"][..], "pid", "PidMode", "host"),
        (&["--ipc", "host"], "ipc", "IpcMode", "host"),
        (&["--uts", "host"], "uts", "UTSMode", "host"),
        (&["--cgroupns", "host"], "cgroup", "CgroupnsMode", "host"),
        (&["--userns", "host"], "user", "UsernsMode", "host"),
        (&["--ipc", "shareable", "--cgroupns", "private"], "user", "IpcMode", "shareable"),
        (&["--ipc", "private", "--pid="], "user", "IpcMode", "private"),
    ] {
        let id = started(&knarr, options);
        for name in ["pid", "ipc", "uts", "cgroup", "mnt", "net", "user"] {
            let is_shared = namespace(&knarr, Some(&id), name) == namespace(&knarr, None, name);
            assert_eq!(is_shared, name == shared || name == "user", "{options:?} {name}");
        }
        assert_eq!(knarr.inspect(&id, &format!("{{{{.HostConfig.{field}}}}}")), value);
        knarr.ok(&["exec", &id, "true"]);
        assert_eq!(knarr.ok(&["top", &id]).lines().count(), 2, "{options:?}");
        knarr.ok(&["rm", "-f", &id]);
        knarr.assert_nothing_left(&[id].into());
    }
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert_eq!(knarr.ok(&["run", "--rm", "--uts", "host", "busybox", "hostname"]), host);
    let of_host = std::fs::metadata("/dev/shm").unwrap();
    let inside =
        knarr.ok(&["run", "--rm", "--ipc", "host", "busybox", "stat", "-c", "%d", "/dev/shm"]);
    assert_eq!(inside, of_host.dev().to_string());
    knarr.run(&["run", "--rm", "--ipc", "none", "busybox", "test", "-e", "/dev/shm"]).code(1);
    // with the host's processes, those of a container end with it all the same
    let script = "sleep 1000 & sleep 1000 & echo $$; wait";
    let id = knarr.ok(&["run", "-d", "--pid", "host", "busybox", "sh", "-c", script]);
    proc::until("it runs", || knarr.ok(&["logs", &id]) == knarr.inspect(&id, "{{.State.Pid}}"));
    knarr.ok(&["stop", "-t", "0", &id]);
    knarr.ok(&["rm", &id]);
    knarr.assert_nothing_left(&[id].into());
}

#[test]
fn namespaces_of_another_container_on_request() {
    let knarr = Knarr::new().with_busybox();
    let first = started(&knarr, &["--name", "first", "--ipc", "shareable"]);
    let second = started(&knarr, &["--pid", "container:first", "--ipc", "container:first"]);
    for name in ["pid", "ipc"] {
        let [a, b] = [&first, &second].map(|id| namespace(&knarr, Some(id), name));
        assert_eq!(a, b, "{name}");
        assert_ne!(a, namespace(&knarr, None, name), "{name}");
    }
    let modes = knarr.inspect(&second, "{{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}");
    assert_eq!(modes, format!("container:{first} container:{first}"));
    knarr.ok(&["exec", "first", "sh", "-c", "echo shared > /dev/shm/x"]);
    assert_eq!(knarr.ok(&["exec", &second, "cat", "/dev/shm/x"]), "shared");
    // each sees the other's processes, and stopping one leaves the other alone
    let seen = knarr.ok(&["exec", "first", "ps", "-o", "args"]);
    assert_eq!(seen.lines().filter(|line| line.contains("sleep 1000")).count(), 2, "{seen}");
    // but each is told its own
    for container in ["first", &second] {
        assert_eq!(knarr.ok(&["top", container]).lines().count(), 2);
    }
    knarr.ok(&["rm", "-f", &second]);
    assert_eq!(knarr.inspect("first", "{{.State.Running}}"), "true");
    assert!(proc::cgroups_of(&[second].into()).is_empty());

    started(&knarr, &["--name", "private"]);
    let join = |knarr: &Knarr, option: &str, of: &str| {
        knarr.fails(125, &["run", "--rm", option, &format!("container:{of}"), "busybox", "true"])
    };
    assert!(join(&knarr, "--ipc", "private").contains("--ipc shareable"));
    assert!(join(&knarr, "--pid", "nobody").contains("nobody"));
    knarr.ok(&["stop", "-t", "0", "first"]);
    assert!(join(&knarr, "--pid", "first").contains("does not run"));
    // a container of another root is none
    let other = Knarr::new().with_busybox();
    assert!(join(&other, "--pid", "private").contains("private"));
}

#[test]
fn settings_of_the_kernel_are_the_containers_own() {
    let knarr = Knarr::new().with_busybox();
    let outside = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let options = [
        "--sysctl",
        "net.core.somaxconn=777",
        "--sysctl",
        "kernel.shmmni=123",
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=600",
        "--sysctl",
        "net.ipv4.conf.eth0.forwarding=0",
    ];
    let id = started(&knarr, &options);
    let script =
        "cd /proc/sys; cat net/core/somaxconn kernel/shmmni net/ipv4/ip_unprivileged_port_start";
    assert_eq!(knarr.ok(&["exec", &id, "sh", "-c", script]), "777\n123\n600");
    assert_eq!(knarr.inspect(&id, "{{index .HostConfig.Sysctls \"kernel.shmmni\"}}"), "123");
    assert_eq!(std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(), outside);
    let script = "echo 1 > /proc/sys/net/core/somaxconn";
    assert_ne!(knarr.run(&["exec", &id, "sh", "-c", script]).code, 0);
    knarr.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--sysctl",
        "net.ipv4.ip_forward=1",
        "busybox",
        "true",
    ]);
    for (options, said) in [
        (&["--sysctl", "kernel.core_pattern=x"][..], "the whole host's"),
        (&["--sysctl", "vm.swappiness=1"], "the whole host's"),
        (&["--sysctl", "kernel.hostname=x"], "the whole host's"),
        (&["--sysctl", "net./../../kernel/core_pattern=x"], "the whole host's"),
        (&["--sysctl", "net...kernel.core_pattern=x"], "the whole host's"),
        (&["--sysctl", "net.core.somaxconn"], "NAME=VALUE"),
        (&["--network", "host", "--sysctl", "net.core.somaxconn=1"], "--network host"),
        (&["--ipc", "host", "--sysctl", "kernel.shmmni=1"], "--ipc host"),
        (&["--sysctl", "net.core.nothing_like_it=1"], "no such setting"),
        (&["--sysctl", "net.core.somaxconn=many"], "does not take that value"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
}

#[test]
fn devices_are_given_by_name_and_by_number() {
    let knarr = Knarr::new().with_busybox();
    // never given by default, and there on every host
    let tun = std::fs::metadata("/dev/net/tun").unwrap();
    let number = (rustix::fs::major(tun.rdev()), rustix::fs::minor(tun.rdev()));
    let look = "for f in \"$@\"; do stat -c '%n %F %t:%T %a' $f; done";
    let shown =
        format!("character special file {:x}:{:x} {:o}", number.0, number.1, tun.mode() & 0o777);
    let id = started(
        &knarr,
        &[
            "--device",
            "/dev/net/tun",
            "--device",
            "/dev/net/tun:/opt/deep/log:r",
            "--device=/dev/net/tun:/dev/x/y:rw",
        ],
    );
    let inside = ["/dev/net/tun", "/opt/deep/log", "/dev/x/y"];
    let expected: Vec<String> = inside.iter().map(|path| format!("{path} {shown}")).collect();
    let found = knarr.ok(&[&["exec", &id, "sh", "-c", look, "sh"][..], &inside].concat());
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    let node = folder_of(&knarr, &id).join("root/dev/net/tun");
    let node = std::fs::metadata(node).unwrap();
    assert!(node.file_type().is_char_device() && node.rdev() == tun.rdev());
    assert_ne!((node.dev(), node.ino()), (tun.dev(), tun.ino()));
    assert_eq!(
        knarr.inspect(&id, "{{json (index .HostConfig.Devices 1)}}"),
        r#"{"PathOnHost":"/dev/net/tun","PathInContainer":"/opt/deep/log","CgroupPermissions":"r"}"#
    );
    // a further start finds the node that lies in the root
    knarr.ok(&["restart", "-t", "0", &id]);

    let open = |options: &[&str], how: &str| {
        let script = format!("mknod /n c {} {} && exec 3{how}/n", number.0, number.1);
        knarr.run(&[&["run", "--rm"], options, &["busybox", "sh", "-c", &script]].concat())
    };
    let rule = format!("c {}:{} rw", number.0, number.1);
    let any = format!("a {}:* r", number.0);
    for (options, how, may) in [
        (&[][..], "<", false),
        (&["--device-cgroup-rule", &rule], "<", true),
        (&["--device-cgroup-rule", &rule], "<>", true),
        (&["--device-cgroup-rule", &any], "<", true),
        (&["--device-cgroup-rule", &any], ">", false),
        (&["--device", "/dev/net/tun:/dev/net/tun:r"], "<", true),
        (&["--device", "/dev/net/tun:r"], ">", false),
        (&["--device", "/dev/net/tun"], ">", true),
        (&["--device", "/dev/zero:/dev/other"], "<", false),
    ] {
        let ended = open(options, how);
        assert_eq!(ended.code == 0, may, "{options:?} {how}: {}", ended.stderr);
    }
    let id = started(&knarr, &["--device-cgroup-rule", &rule]);
    assert_eq!(
        knarr.inspect(&id, "{{json .HostConfig.DeviceCgroupRules}}"),
        format!("[\"{rule}\"]")
    );
    for (options, said) in [
        (&["--device", "/dev/none-of-these"][..], "no such device"),
        (&["--device", "/etc/passwd"], "neither a device"),
        (&["--device", "tun"], "HOST[:CONTAINER[:rwm]]"),
        (&["--device", "/dev/net/tun:/dev/net/tun:x"], "HOST[:CONTAINER[:rwm]]"),
        (&["--device-cgroup-rule", "c 1:3"], "TYPE MAJOR:MINOR ACCESS"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
}

/// A directory of devices gives all that are in it; links of the image lead nowhere else.
#[test]
fn devices_by_the_directory_stay_in_the_container() {
    let knarr = Knarr::new().with_busybox();
    let id = started(&knarr, &["--device", "/dev/net:/dev/nets", "--device", "/dev/net"]);
    let list = |path: &str| knarr.ok(&["exec", &id, "ls", path]);
    assert_eq!((list("/dev/nets"), list("/dev/net")), ("tun".into(), "tun".into()));
    knarr.built("FROM busybox\nRUN rm -rf /opt && ln -s /../../../tmp /opt\n", &[]);
    let target = format!("/dev/null:/opt/{}", &id[..12]);
    let script = format!("test -c /tmp/{}", &id[..12]);
    knarr.ok(&["run", "--rm", "--device", &target, "app", "sh", "-c", &script]);
    assert!(!PathBuf::from(format!("/tmp/{}", &id[..12])).exists());
}

#[test]
fn an_address_of_the_interface_and_further_ones() {
    let knarr = Knarr::new().with_busybox();
    let id = started(
        &knarr,
        &["--name", "web", "--mac-address", "02:42:0A:00:00:09", "--link-local-ip", "169.254.9.9"],
    );
    let link = knarr.ok(&["exec", &id, "ip", "addr", "show", "eth0"]);
    assert!(link.contains("link/ether 02:42:0a:00:00:09"), "{link}");
    assert!(link.contains("inet 169.254.9.9/16"), "{link}");
    assert_eq!(knarr.inspect(&id, "{{.NetworkSettings.MacAddress}}"), "02:42:0a:00:00:09");
    let second = started(&knarr, &[]);
    assert!(asked(&knarr, &second, "web").contains("refused"));
    knarr.ok(&["network", "create", "two"]);
    knarr.ok(&["network", "connect", "--link-local-ip", "169.254.8.8", "two", "web"]);
    let link = knarr.ok(&["exec", &id, "ip", "addr", "show", "eth1"]);
    assert!(link.contains("inet 169.254.8.8/16"), "{link}");
    let long = "name=two,mac-address=02:00:00:00:00:07";
    let id = started(&knarr, &["--network", long]);
    let link = knarr.ok(&["exec", &id, "cat", "/sys/class/net/eth0/address"]);
    assert_eq!(link, "02:00:00:00:00:07");
    for (options, said) in [
        (&["--mac-address", "banana"][..], "six bytes"),
        (&["--mac-address", "01:00:5e:00:00:01"], "six bytes"),
        (&["--mac-address", "02:00:00:00:00:01", "--network", "host"], "no meaning"),
        (&["--link-local-ip", "10.0.0.1"], "169.254.0.0/16"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
}

#[test]
fn links_are_names_that_one_container_has_for_another() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["network", "create", "net"]);
    for network in ["bridge", "net"] {
        let on = ["--network", network];
        let db = started(&knarr, &[&on[..], &["--name", "db"]].concat());
        let linked = started(
            &knarr,
            &[&on[..], &["--name", "web", "--link", "db:Data-Base", "--link", "/db"]].concat(),
        );
        let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = knarr.inspect(&db, address);
        for name in ["data-base", "db"] {
            let found = asked(&knarr, &linked, name);
            assert!(found.contains(&format!("({address}): Connection refused")), "{found}");
        }
        let links = r#"["/db:/web/Data-Base","/db:/web/db"]"#;
        assert_eq!(knarr.inspect(&linked, "{{json .HostConfig.Links}}"), links);
        // nobody else knows the name
        let other = started(&knarr, &on);
        assert!(asked(&knarr, &other, "data-base").contains("bad address"));
        // it follows the container to another address, and to another name
        started(&knarr, &on);
        knarr.ok(&["rename", "db", "moved"]);
        assert!(asked(&knarr, &linked, "data-base").contains("refused"));
        let all = knarr.containers();
        knarr.ok(&[vec!["rm".to_owned(), "-f".into()], all].concat());
    }
    started(&knarr, &["--name", "db", "--network", "net"]);
    for (options, said) in [
        (&["--link", "nobody"][..], "nobody"),
        (&["--link", "db"], "share no network"),
        (&["--link", "db:x y", "--network", "net"], "CONTAINER[:ALIAS]"),
        (&["--link", "db", "--network", "host"], "no meaning"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
}

#[test]
fn what_means_nothing_to_wasm_is_refused() {
    let knarr = Knarr::new().with_kit();
    for (option, value) in [
        ("--pid", "host"),
        ("--ipc", "host"),
        ("--ipc", "shareable"),
        ("--uts", "host"),
        ("--userns", "host"),
        ("--cgroupns", "host"),
        ("--sysctl", "net.core.somaxconn=1"),
        ("--device", "/dev/null"),
        ("--device-cgroup-rule", "c 1:3 r"),
        ("--mac-address", "02:00:00:00:00:01"),
    ] {
        let error = knarr.fails(125, &["run", "--rm", option, value, "kit", "exit", "0"]);
        assert!(
            error.contains(option) && error.contains("Wasm") || error.contains("WASI"),
            "{error}"
        );
    }
    let options = ["--oom-score-adj", "55", "--cpu-quota", "50000", "--annotation", "a=b"];
    let id = knarr.ok(&[&["run", "-d"], &options[..], &["kit", "log", "100000", "10"]].concat());
    let score = folder_of(&knarr, &id).join("oom_score_adj");
    assert_eq!(std::fs::read_to_string(score).unwrap(), "55\n");
    let max = of_cgroup(&id, &["cpu.max", "cpu.cfs_quota_us"]);
    assert!(["50000", "50000 100000"].contains(&&*max), "{max}");
}

#[test]
fn what_an_ordinary_user_has_and_what_is_missing() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    let output = knarr.ok(&[
        "run",
        "--rm",
        "--device",
        "/dev/full:/dev/other",
        "--sysctl",
        "net.ipv4.ip_default_ttl=99",
        "--ipc",
        "none",
        "--userns",
        "host",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "stat -c %t:%T /dev/other; cat /proc/sys/net/ipv4/ip_default_ttl; test ! -e /dev/shm",
    ]);
    assert_eq!(output, "1:7\n99");
    for (options, said) in [
        (&["--pid", "host"][..], "ordinary user"),
        (&["--cgroupns", "host"], "ordinary user"),
        (&["--device-cgroup-rule", "c 1:3 r"], "ordinary user"),
        (&["--device", "/dev/full:r"], "ordinary user"),
        (&["--blkio-weight", "100"], "Delegate=yes"),
        (&["--cpu-quota", "50000"], "Delegate=yes"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
}
