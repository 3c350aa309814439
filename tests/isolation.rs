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
