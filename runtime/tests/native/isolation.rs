//! What keeps a guest apart from the host, as the guest sees it.

use crate::fixture::{Fixture, idle, wait};
use knarr_core::spec::{NetworkMode, Seccomp};
use knarr_runtime::engine::native;
use std::fs;

crate::tests![
    docker_s_capabilities,
    seccomp_filter,
    masked_and_read_only_paths,
    own_namespaces,
    no_view_of_the_host_s_cgroups,
    no_devices_of_the_host,
    network_none_has_only_lo,
    privileged,
    no_new_privileges,
    seccomp_profile_of_the_user,
    no_files_of_the_monitor,
    no_way_to_knarr_s_own_file,
];

fn status(fixture: &mut Fixture, field: &str) -> String {
    fixture
        .sh(&format!("grep {field}: /proc/self/status"))
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned()
}

fn docker_s_capabilities() {
    let mut fixture = Fixture::new();
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(&mut fixture, field), "00000000a80425fb", "{field}");
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(status(&mut fixture, field), "0000000000000000", "{field}");
    }
    fixture.spec.security.cap_drop = vec!["ALL".into()];
    fixture.spec.security.cap_add = vec!["CHOWN".into()];
    assert_eq!(status(&mut fixture, "CapEff"), "0000000000000001");
    fixture.spec.process.user = "ann".into();
    assert_eq!(status(&mut fixture, "CapEff"), "0000000000000000");
    assert_eq!(status(&mut fixture, "CapBnd"), "0000000000000001");
}

fn seccomp_filter() {
    let mut fixture = Fixture::new();
    assert_eq!(status(&mut fixture, "Seccomp"), "2");
    let denied = fixture.sh("unshare -U true 2>&1 || true");
    assert!(denied.contains("Operation not permitted"), "{denied}");
    fixture.spec.security.seccomp = Seccomp::Unconfined;
    assert_eq!(status(&mut fixture, "Seccomp"), "0");
}

fn seccomp_profile_of_the_user() {
    let mut fixture = Fixture::new();
    fixture.spec.security.seccomp = Seccomp::Profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#
            .into(),
    );
    let denied = fixture.sh("mkdir /tmp/x 2>&1 || true");
    assert!(denied.contains("No space left on device"), "{denied}");
}

fn masked_and_read_only_paths() {
    let mut fixture = Fixture::new();
    // not every kernel has all of them
    for path in ["kcore", "keys", "timer_list", "interrupts"].map(|name| format!("/proc/{name}")) {
        assert_eq!(fixture.sh(&format!("cat {path} 2>/dev/null | wc -c")), "0", "{path}");
    }
    assert_eq!(fixture.sh("ls /proc/scsi /sys/firmware 2>/dev/null | grep -v : | wc -w"), "0");
    for path in
        ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"]
    {
        fixture.shell(&format!("echo x > {path}"));
        let output = fixture.run();
        assert_ne!(output.code, 0, "{path}");
        let refused = ["Read-only file system", "nonexistent directory", "No such file"];
        assert!(refused.iter().any(|r| output.stderr.contains(r)), "{path}: {output:?}");
    }
    let remount = fixture.sh("mount -o remount,rw /proc/sys 2>&1; umount /proc/kcore 2>&1; true");
    assert!(
        remount.contains("permission denied") || remount.contains("not permitted"),
        "{remount}"
    );
}

fn own_namespaces() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    let pid = running.guest.pid.to_string();
    let link = |pid: &str, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    for name in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        assert_ne!(link(&pid, name), link("self", name), "{name}");
    }
    assert_eq!(link(&pid, "net"), link("self", "net"));
    running.finish();
    fixture.cleanup();
    let mut fixture = Fixture::new();
    fixture.spec.hostname = Some("ship".into());
    assert_eq!(fixture.sh("hostname; cat /etc/hostname; echo $HOSTNAME"), "ship\nship\nship");
    assert_eq!(fixture.sh("echo $$"), "1");
}

fn no_view_of_the_host_s_cgroups() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.memory = Some(64 << 20);
    let id = fixture.spec.id.clone();
    // every hierarchy: the root of the process's view is its own cgroup, or the hierarchy is not there
    let seen = fixture
        .sh("cat /proc/self/cgroup; find /sys/fs/cgroup 2>/dev/null || ls -R /sys/fs/cgroup");
    assert!(!seen.contains("knarr") && !seen.contains(id.as_str()), "{seen}");
    assert!(!seen.contains("process_api"), "{seen}");
    let written = fixture.sh("for f in $(ls -d /sys/fs/cgroup/*/cgroup.procs); do echo 1 > $f; done 2>&1 | grep -v 'Read-only file system' | wc -l");
    assert_eq!(written, "0");
}

fn no_devices_of_the_host() {
    let mut fixture = Fixture::new();
    let script = "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem; mknod /tmp/vda b 254 0 && head -c 1 /tmp/vda; true";
    fixture.shell(script);
    let output = fixture.run();
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.matches("Operation not permitted").count(), 2, "{output:?}");
    let usable =
        "head -c 1 /dev/urandom | wc -c; echo x > /dev/null; head -c 2 /dev/zero | wc -c; ls /dev";
    let expected =
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero";
    assert_eq!(fixture.sh(usable), format!("1\n2\n{}{expected}", crate::hosts::core()));
}

fn network_none_has_only_lo() {
    let mut fixture = Fixture::new();
    fixture.spec.network = NetworkMode::None;
    assert_eq!(fixture.sh("ls /sys/class/net; ip -o link | grep -c ."), "lo\n1");
    assert_eq!(fixture.sh("ip -o addr show lo | grep -c 127.0.0.1"), "1");
    assert_eq!(fixture.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0");
}

fn privileged() {
    let mut fixture = Fixture::new();
    fixture.spec.security.privileged = true;
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim().to_owned();
    assert_eq!(status(&mut fixture, "CapEff"), own);
    assert_eq!(status(&mut fixture, "Seccomp"), "0");
    assert_eq!(fixture.sh("mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted"), "mounted");
    // even so, it sees no cgroup but its own
    let seen =
        fixture.sh("mkdir /tmp/c && mount -t cgroup -o memory none /tmp/c 2>/dev/null; ls /tmp/c");
    assert!(!seen.contains("knarr") && !seen.contains("process_api"), "{seen}");
}

fn no_new_privileges() {
    let mut fixture = Fixture::new();
    assert_eq!(status(&mut fixture, "NoNewPrivs"), "0");
    fixture.spec.security.no_new_privileges = true;
    assert_eq!(status(&mut fixture, "NoNewPrivs"), "1");
    assert_eq!(status(&mut fixture, "Seccomp"), "2");
    assert_eq!(status(&mut fixture, "CapEff"), "00000000a80425fb");
}

fn no_files_of_the_monitor() {
    let mut fixture = Fixture::new();
    let secret = fs::File::open("/etc/shadow").unwrap();
    let leaked = rustix::io::dup(&secret).unwrap(); // without close-on-exec
    let running = idle(&mut fixture);
    let pid = running.guest.pid;
    let mut open: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|fd| {
            !fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap().starts_with("/dev/tty")
        })
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    drop(leaked);
    let mut running = running;
    running.stdin = None;
    assert_eq!(wait(pid), 0);
}

fn no_way_to_knarr_s_own_file() {
    // an image that has knarr run knarr (CVE-2019-5736); this test program would list its tests
    let mut fixture = Fixture::new();
    let script = fixture.rootfs.join("bin/script");
    fs::write(&script, "#!/proc/self/exe --list\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("/proc/self/exe", fixture.rootfs.join("bin/link")).unwrap();
    for command in [["/proc/self/exe", "--list"], ["link", "--list"], ["script", "--list"]] {
        fixture.command(&command);
        let output = fixture.run();
        assert_eq!((output.code, output.stdout.as_str()), (126, ""), "{command:?}");
    }
    let running = idle(&mut fixture);
    for command in ["/proc/self/exe", "link", "script"] {
        let process = native::ExecProcess {
            args: vec![command.into(), "--list".into()],
            ..native::ExecProcess::default()
        };
        let output = crate::exec::exec_in(&fixture, running.guest.pid, &process).unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (126, ""), "{command}");
    }
    running.finish();
}
