//! Other hosts: version 2 of cgroups only, version 1 only, and ordinary users.

use crate::exec::{output, shell};
use crate::fixture::{Fixture, cgroups_of, chain, idle, pipe, wait};
use knarr_core::spec::NetworkMode;
use knarr_runtime::engine::cgroup::{Host, Version};
use knarr_runtime::engine::native::{self, Error};
use knarr_runtime::engine::{Stdio, UserNamespaces};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::path::PathBuf;

crate::tests![
    only_version_2,
    only_version_1,
    an_ordinary_user,
    an_ordinary_user_without_a_network,
    an_ordinary_user_executes,
    what_an_ordinary_user_cannot_have,
];

const TOP: &str = "/sys/fs/cgroup";

/// Hides the hierarchies of version 1 from this process, which has a mount namespace of its own.
fn only_version_2() {
    let mut fixture = Fixture::new();
    if Host::detect(true).version != Version::V2 {
        unmount(TOP, UnmountFlags::DETACH).unwrap();
        mount("cgroup2", TOP, "cgroup2", MountFlags::empty(), None::<&std::ffi::CStr>).unwrap();
    }
    assert_eq!(Host::detect(true).version, Version::V2);
    let running = idle(&mut fixture);
    assert_eq!(
        cgroups_of(&fixture.spec.id),
        [PathBuf::from(TOP).join("knarr").join(fixture.spec.id.as_str())]
    );
    assert_eq!(output(&fixture, &running, "grep ^0: /proc/self/cgroup"), "0::/");
    let seen = output(&fixture, &running, "cat /sys/fs/cgroup/cgroup.procs; ls /sys/fs/cgroup");
    assert!(seen.starts_with("1\n") && !seen.contains("knarr"), "{seen}");
    native::pause(&fixture.root, &fixture.spec.id).unwrap();
    native::resume(&fixture.root, &fixture.spec.id).unwrap();
    let stats = native::stats(&fixture.root, &fixture.spec.id).unwrap();
    assert!(stats.cpu.is_some_and(|ns| ns > 0) && stats.memory.is_some(), "{stats:?}");
    running.finish();
    fixture.cleanup();
    // devices are kept away by a program
    fixture.shell("mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem");
    assert!(fixture.run().stderr.contains("Operation not permitted"));
    fixture.spec.limits.pids = Some(10);
    if !Host::detect(true).unified_controllers().unwrap().iter().any(|name| name == "pids") {
        let error = fixture.start().err().expect("it is in version 1");
        assert!(error.to_string().contains("no cgroup controller \"pids\""), "{error}");
    }
}

fn only_version_1() {
    let mut fixture = Fixture::new();
    match Host::detect(true).version {
        Version::Hybrid => {
            unmount(PathBuf::from(TOP).join("unified"), UnmountFlags::DETACH).unwrap()
        }
        Version::V1 => {}
        // a host without version 1 cannot show it
        other => return assert_eq!(other, Version::V2),
    }
    assert_eq!(Host::detect(true).version, Version::V1);
    fixture.spec.limits.memory = Some(64 << 20);
    let running = idle(&mut fixture);
    let seen = output(
        &fixture,
        &running,
        "ls /sys/fs/cgroup; cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
    );
    assert_eq!(seen, "devices\nfreezer\nmemory\npids\n67108864");
    native::pause(&fixture.root, &fixture.spec.id).unwrap();
    native::resume(&fixture.root, &fixture.spec.id).unwrap();
    assert!(native::stats(&fixture.root, &fixture.spec.id).unwrap().pids.is_some());
    running.finish();
    fixture.cleanup();
    fixture.shell("mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem");
    assert!(fixture.run().stderr.contains("Operation not permitted"));
    // frozen, and with children: all of it ends
    fixture.spec.id = knarr_core::id::ContainerId::random();
    fixture.shell("sleep 1000 & sleep 1000 & echo ready; cat");
    let mut running = fixture.start().unwrap();
    std::io::Read::read_exact(&mut running.stdout, &mut [0; 6]).unwrap();
    native::pause(&fixture.root, &fixture.spec.id).unwrap();
    fixture.cleanup();
    assert_eq!(running.finish().code, 137);
    assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new());
}

fn an_ordinary_user() {
    let mut fixture = Fixture::of_ordinary_user();
    let script = "id -u; echo x > /made; stat -c %u /made; grep Seccomp: /proc/self/status; ls /dev; cat /sys/fs/cgroup/*/memory* 2>/dev/null; ls /proc/sys/kernel/core_pattern; echo $$";
    let seen = fixture.sh(script);
    let devices =
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero";
    assert_eq!(
        seen,
        format!("0\n0\nSeccomp:\t2\n{}{devices}\n/proc/sys/kernel/core_pattern\n1", core())
    );
    // outside, it is the user
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(fixture.rootfs.join("made")).unwrap());
    assert_eq!(owner, 0, "as seen from the user namespace");
    assert_eq!(
        fixture.sh("touch /sys/x /proc/sys/x 2>&1 | grep -c -e 'Read-only' -e 'No such' -e denied"),
        "2"
    );
    assert_eq!(fixture.sh("cat < /dev/zero | head -c 3 | wc -c; echo x > /dev/null"), "3");
}

fn an_ordinary_user_without_a_network() {
    let mut fixture = Fixture::of_ordinary_user();
    fixture.spec.network = NetworkMode::None;
    assert_eq!(fixture.sh("ls /sys/class/net; ip -o addr show lo | grep -c 127.0.0.1"), "lo\n1");
    fixture.spec.init = true;
    fixture.shell("tty; exit 3");
    let guest = fixture
        .launch(Stdio::Terminal { rows: 24, columns: 80 })
        .unwrap_or_else(|e| panic!("{}", chain(&e)));
    assert_eq!(wait(guest.pid), 3);
}

fn an_ordinary_user_executes() {
    let mut fixture = Fixture::of_ordinary_user_outside();
    // the monitor is in the namespace; `exec` comes from outside of it
    let (reader, writer) = pipe();
    // SAFETY: this process has one thread
    let monitor = unsafe { libc::fork() };
    if monitor == 0 {
        knarr_core::sys::enter_user_namespace().unwrap();
        let running = idle(&mut fixture);
        rustix::io::write(&writer, &running.guest.pid.to_ne_bytes()).unwrap();
        wait(running.guest.pid);
        unreachable!("the guest waits for its input to end");
    }
    let mut pid = [0; 4];
    rustix::io::read(&reader, &mut pid).unwrap();
    let pid = u32::from_ne_bytes(pid);
    let result =
        crate::exec::exec_in(&fixture, pid, &shell("id -u; readlink /proc/self/ns/pid; exit 6"));
    let output = result.unwrap_or_else(|error| panic!("{}", chain(&error)));
    let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    assert_eq!(
        (output.stdout, output.code),
        (format!("0\n{}\n", namespace.display()), 6),
        "{}",
        output.stderr
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(monitor).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    wait(monitor as u32);
}

fn what_an_ordinary_user_cannot_have() {
    let mut fixture = Fixture::of_ordinary_user_outside();
    fixture.command(&["true"]);
    let error = fixture.start().err().expect("it is in no user namespace");
    assert!(
        matches!(error, Error::NotInUserNamespace { namespaces: UserNamespaces::Available }),
        "{error}"
    );
    knarr_core::sys::enter_user_namespace().unwrap();
    fixture.spec.process.user = "ann".into();
    let error = fixture.start().err().expect("there is only one user");
    assert!(matches!(error, Error::UserNotMapped { .. }), "{}", chain(&error));
    fixture.spec.process.user = String::new();
    fixture.spec.limits.memory = Some(64 << 20);
    let error = fixture.start().err().expect("nothing is delegated");
    assert!(error.to_string().contains("not delegated"), "{}", chain(&error));
    fixture.spec.limits.memory = None;
    fixture.spec.process.group_add = vec!["wheel".into()];
    assert_eq!(fixture.sh("id -u"), "0");
}

/// What `ls /dev` begins with where the kernel has a `kcore`.
pub fn core() -> &'static str {
    if std::path::Path::new("/proc/kcore").exists() { "core\n" } else { "" }
}
