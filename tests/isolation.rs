//! What a container can see and do, seen from inside it.

use crate::harness::Knarr;
use std::collections::BTreeMap;

/// `/proc/self/status` of a process in the container.
fn status(knarr: &Knarr, options: &[&str]) -> BTreeMap<String, String> {
    let all = [&["run", "--rm"], options, &["busybox", "cat", "/proc/self/status"]].concat();
    let text = knarr.ok(&all);
    let pairs = text.lines().filter_map(|line| line.split_once(":\t"));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[test]
fn capabilities_seccomp_and_privileges_are_dockers() {
    let knarr = Knarr::new().with_busybox();
    let status_ = status(&knarr, &[]);
    // Docker's fourteen, bit by bit
    assert_eq!(status_["CapEff"], "00000000a80425fb");
    assert_eq!(status_["CapBnd"], "00000000a80425fb");
    assert_eq!(status_["CapInh"], "0000000000000000");
    assert_eq!(status_["CapAmb"], "0000000000000000");
    assert_eq!(status_["Seccomp"], "2");
    assert_eq!(status_["SigBlk"], "0000000000000000");
    // 32 and 33 are glibc's own: a program above us may have them ignored, and nobody can use them
    let ignored = u64::from_str_radix(&status_["SigIgn"], 16).unwrap();
    assert_eq!(ignored & !(3 << 31), 0);
    let dropped = status(&knarr, &["--cap-drop", "all", "--security-opt", "no-new-privileges"]);
    assert_eq!((&*dropped["CapEff"], &*dropped["NoNewPrivs"]), ("0000000000000000", "1"));
    let added = status(&knarr, &["--cap-drop", "ALL", "--cap-add", "cap_net_raw"]);
    assert_eq!(added["CapEff"], "0000000000002000");
    let user = status(&knarr, &["--user", "1000"]);
    assert_eq!((&*user["CapEff"], &*user["CapPrm"]), ("0000000000000000", "0000000000000000"));
    assert_eq!(status(&knarr, &["--security-opt", "seccomp=unconfined"])["Seccomp"], "0");
}

#[test]
fn the_hosts_kernel_files_are_out_of_reach() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    let sh = |script: &str| knarr.run(&["exec", &id, "sh", "-c", script]);
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        let read = sh(&format!("[ ! -e {path} ] || cat {path} | wc -c"));
        assert!(["", "0"].contains(&read.ok().as_str()), "{path}");
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches"]
    {
        let ended = sh(&format!("echo x > {path}"));
        // a kernel may lack the file
        let refused = ["Read-only", "nonexistent"].iter().any(|text| ended.stderr.contains(text));
        assert!(ended.code != 0 && refused, "{path}: {}", ended.stderr);
    }
    assert_ne!(sh("touch /sys/kernel/x").code, 0);
    assert_ne!(sh("mount -t tmpfs none /tmp").code, 0);
    assert_ne!(sh("mknod /tmp/disk b 8 0 && cat /tmp/disk").code, 0);
    assert_ne!(sh("unshare -m true").code, 0);
    let devices = sh("ls /dev").ok();
    for device in ["null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd"] {
        assert!(devices.lines().any(|line| line == device), "{device}: {devices}");
    }
    for device in ["sda", "vda", "mem", "kmsg", "fuse"] {
        assert!(!devices.lines().any(|line| line == device), "{device}: {devices}");
    }
    assert_eq!(sh("ls /proc/self/fd | wc -l").ok(), "4");
}

#[test]
fn namespaces_are_the_containers_own() {
    let knarr = Knarr::new().with_busybox();
    let script = "for n in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$n; done";
    let inside = knarr.ok(&["run", "--rm", "busybox", "sh", "-c", script]);
    for (name, inside) in ["mnt", "pid", "ipc", "uts", "cgroup"].iter().zip(inside.lines()) {
        let outside = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(inside, outside.to_str().unwrap(), "{name}");
    }
    assert_eq!(knarr.ok(&["run", "--rm", "busybox", "sh", "-c", "echo $$"]), "1");
    let groups = knarr.ok(&["run", "--rm", "busybox", "cat", "/proc/self/cgroup"]);
    assert!(groups.lines().all(|line| line.ends_with(":/")), "{groups}");
    let mounts = knarr.ok(&["run", "--rm", "busybox", "cat", "/proc/self/mountinfo"]);
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.contains(" - overlay "), "{root}");
}

#[test]
fn without_a_network_there_is_only_lo() {
    let knarr = Knarr::new().with_busybox();
    let arguments = ["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"];
    assert_eq!(knarr.ok(&arguments), "lo");
}

#[test]
fn limits_are_enforced_and_can_be_read_back() {
    let knarr = Knarr::new().with_busybox();
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; \
        cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true";
    let run = ["run", "--rm", "--memory", "32m", "--pids-limit", "20", "busybox", "sh", "-c"];
    assert_eq!(knarr.ok(&[&run[..], &[script]].concat()), "33554432\n20");
    // the shell's 19 children are one too many
    let script = "for i in $(seq 30); do sleep 1000 & done; echo all";
    let ended = knarr.run(&[&run[..], &[script]].concat());
    assert!(ended.code != 0 && ended.stderr.contains("can't fork"), "{}", ended.stderr);
    let id = knarr.ok(&["run", "-d", "--memory", "16m", "busybox", "sh", "-c", "tail /dev/zero"]);
    assert_eq!(knarr.ok(&["wait", &id]), "137");
    assert_eq!(knarr.inspect(&id, "{{.State.OOMKilled}}"), "true");
}

/// What a Wasm guest's process may do, from outside.
#[test]
fn the_process_of_a_wasm_guest_is_confined() {
    let knarr = Knarr::new().with_kit();
    let id = knarr.ok(&["run", "-d", "kit", "log", "100000", "10"]);
    let pid = knarr.inspect(&id, "{{.State.Pid}}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(status.lines().any(|l| l == line), "{line}\n{status}");
    }
    let inside = std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    assert_ne!(inside, std::fs::read_link("/proc/self/ns/mnt").unwrap());
    assert_eq!(knarr.inspect(&id, "{{len .Knarr.Lacking}}"), "0");
}

#[test]
fn a_wasm_guest_reads_nothing_of_the_host() {
    let knarr = Knarr::new().with_kit();
    let secret = knarr.file("secret", "of the host");
    let data = knarr.files().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&secret, data.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret", data.join("relative")).unwrap();
    std::os::unix::fs::symlink("/proc/self/root", data.join("root")).unwrap();
    let volume = format!("{}:/data", data.display());
    let secret = secret.display();
    for path in [
        format!("{secret}"),
        format!("/..{secret}"),
        format!("/data/../..{secret}"),
        "/data/absolute".into(),
        "/data/relative".into(),
        format!("/data/root{secret}"),
        "/proc/self/environ".into(),
        "/etc/passwd".into(),
    ] {
        let ended = knarr.run(&["run", "--rm", "-v", &volume, "kit", "cat", &path]);
        assert!(ended.code == 1 && ended.stdout.is_empty(), "{path}: {}", ended.stdout);
    }
}

/// Where `/dev` is the image's or the user's, with things called like Knarr's devices in it.
#[test]
fn values_that_a_container_s_files_cannot_hold_are_refused() {
    let knarr = Knarr::new().with_busybox();
    for options in [
        ["--dns-search", "a.example\nnameserver 192.0.2.1"],
        ["--dns-search", "a b"],
        ["--dns-search", ""],
        ["--dns-option", "ndots:2\nnameserver 192.0.2.1"],
        ["--dns-option", "a b"],
        ["--dns-option", ""],
        ["--hostname", "a\nb"],
        ["--hostname", "a b"],
        ["--hostname", "-a"],
        ["--add-host", "a\n192.0.2.1 b:10.0.0.1"],
        ["--add-host", "a b:10.0.0.1"],
        ["--add-host", "a#b:10.0.0.1"],
        ["--add-host", "a\tb:10.0.0.1"],
        ["--network-alias", "a\nb"],
        ["--network-alias", "a b"],
        ["--name", "a\nb"],
    ] {
        let ended = knarr.run(&[&["run", "--rm"], &options[..], &["busybox", "true"]].concat());
        assert_eq!(ended.code, 125, "{options:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("error: "), "{options:?}: {}", ended.stderr);
    }
    let said = knarr.build("FROM busybox\n", &["--add-host", "a\n192.0.2.1 b:10.0.0.1"]);
    assert!(said.code != 0 && said.stderr.contains("is not HOST:IP"), "{}", said.stderr);
    let words = [
        "run",
        "--rm",
        "--dns-search",
        "corp.example.",
        "--dns-search",
        "x_y",
        "--dns-option",
        "ndots:2",
    ];
    let more = ["--add-host", "db_1.corp:10.0.0.1", "--add-host", "six=::1", "busybox", "sh", "-c"];
    let script = ["grep -h -e ndots -e corp.example -e db_1 /etc/resolv.conf /etc/hosts"];
    assert_eq!(knarr.ok(&[&words[..], &more, &script].concat()).lines().count(), 3);
}

#[test]
fn an_allow_list_holds_for_every_kind_of_socket() {
    let knarr = Knarr::new().with_busybox();
    let free = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    let neighbour = knarr.inspect(&free, "{{.NetworkSettings.IPAddress}}");
    let list = ["run", "-d", "--allow-outbound", "192.0.2.1"];
    let plain = knarr.ok(&[&list[..], &["busybox", "sleep", "1000"]].concat());
    let words = ["--security-opt", "seccomp=unconfined", "busybox", "sleep", "1000"];
    let unconfined = knarr.ok(&[&list[..], &words].concat());
    knarr.ok(&["network", "create", "--internal", "later"]);
    // packets of the link: the kernel's own work for whoever is at the neighbour's
    let packet =
        |interface: &str| format!("/bin/busybox arping -c 1 -w 5 -I {interface} {neighbour}");
    let other = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    knarr.ok(&["exec", &other, "sh", "-c", &packet("eth0")]);
    for id in [&plain, &unconfined] {
        knarr.ok(&["network", "connect", "later", id]);
        for how in [&["exec"][..], &["exec", "--privileged"]] {
            let run = |script: &str| knarr.run(&[how, &[id, "sh", "-c", script]].concat());
            for script in [
                &*packet("eth0"),
                &packet("eth1"),
                "ip route add 198.51.100.0/24 dev eth0",
                "ip link set eth0 down",
                "/bin/busybox nc -w 1 198.51.100.1 80",
                "unshare -n true",
            ] {
                let ended = run(script);
                let said = ["ermission denied", "not permitted", "Address family"];
                let refused = said.iter().any(|text| ended.stderr.contains(text));
                assert!(ended.code != 0 && refused, "{how:?} {script}: {}", ended.stderr);
            }
            let bound = run("grep CapBnd /proc/self/status").ok();
            let bound =
                u64::from_str_radix(bound.trim_start_matches("CapBnd:").trim(), 16).unwrap();
            // NET_ADMIN, NET_RAW, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN
            assert_eq!(
                bound & (1 << 12 | 1 << 13 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 21),
                0,
                "{bound:x}"
            );
        }
    }
    // whoever shares its network is as limited
    let shared = format!("container:{plain}");
    let words = ["run", "--rm", "--network", &shared, "busybox", "sh", "-c", &packet("eth0")];
    assert!(knarr.run(&words).code != 0);
    let shares = ["--network", &shared, "--cap-add", "NET_RAW"];
    let of_its_own = |name| ["--allow-outbound", "none", "--cap-add", name];
    for options in [shares, of_its_own("NET_RAW"), of_its_own("NET_ADMIN"), of_its_own("SYS_ADMIN")]
    {
        let said =
            knarr.fails(125, &[&["run", "--rm"], &options[..], &["busybox", "true"]].concat());
        assert!(said.contains("restricts nobody"), "{options:?}: {said}");
    }
}

/// The superuser's root is nobody else's to look into, whoever makes it and however it was.
#[test]
fn the_root_is_private_whoever_makes_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let first: [&[&str]; 4] = [
        &["volume", "create", "vol"],
        &["network", "create", "--internal", "net"],
        &["ps"],
        &["images"],
    ];
    for command in first {
        let knarr = Knarr::new();
        knarr.ok(command);
        assert_eq!(mode(knarr.root()), 0o700, "{command:?}");
        // as it may have been left, or made before
        std::fs::set_permissions(knarr.root(), PermissionsExt::from_mode(0o755)).unwrap();
        knarr.ok(&["version"]);
        assert_eq!(mode(knarr.root()), 0o700, "{command:?}");
        let mut folders = vec![knarr.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false if entry.file_name().to_string_lossy().contains("lock") => {
                        assert_eq!(mode(&entry.path()) & 0o077, 0, "{:?}", entry.path());
                    }
                    false => {}
                }
            }
        }
    }
    let knarr = Knarr::new();
    let shared = knarr.files().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("of-somebody"), "").unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o1777)).unwrap();
    let said = knarr.fails(1, &["--root", shared.to_str().unwrap(), "ps"]);
    assert!(said.contains("holds other files"), "{said}");
    assert_eq!(mode(&shared), 0o1777);
}
