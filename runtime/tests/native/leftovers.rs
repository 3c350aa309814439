//! Nothing stays behind, whatever fails.

use crate::fixture::{Fixture, cgroups_of, idle, wait};
use knarr_runtime::engine::native;
use knarr_runtime::engine::{MountSource, ResolvedMount};
use std::fs;
use std::path::PathBuf;

crate::tests![
    after_a_run,
    after_a_failure_at_each_step,
    cleanup_kills_and_is_idempotent,
    cgroups_that_the_guest_made,
    a_cgroup_left_by_a_killed_monitor,
];

/// The children of this process, zombies included.
fn children() -> String {
    fs::read_to_string("/proc/thread-self/children").unwrap()
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn after_a_run() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.memory = Some(64 << 20);
    let (before, files) = (mounts(), open_files());
    fixture.sh("sleep 1000 & sleep 1000 & true");
    assert_eq!(
        (cgroups_of(&fixture.spec.id), children(), mounts()),
        (Vec::<PathBuf>::new(), String::new(), before)
    );
    assert_eq!(open_files(), files);
}

type Change = (&'static str, fn(&mut Fixture));

fn after_a_failure_at_each_step() {
    let missing = |fixture: &mut Fixture| {
        let path = fixture.host("missing");
        fixture.bind(&path, "/x", false);
    };
    let bad_tmpfs = |fixture: &mut Fixture| {
        let source =
            MountSource::Tmpfs { size: None, mode: None, options: vec!["nonsense=1".into()] };
        fixture.mounts.push(ResolvedMount { source, target: "/x".into(), read_only: false });
    };
    let no_point = |fixture: &mut Fixture| {
        let host = fixture.host("");
        fixture.bind(&host, "/bin/busybox/x", false);
    };
    let steps: &[Change] = &[
        ("users", |f| f.spec.process.user = "eve".into()),
        ("capabilities", |f| f.spec.security.cap_add = vec!["FLY".into()]),
        ("seccomp", |f| f.spec.security.seccomp = knarr_core::spec::Seccomp::Profile("{".into())),
        ("limits", |f| f.spec.limits.cpuset_cpus = Some("999".into())),
        ("source", missing),
        ("file system", bad_tmpfs),
        ("mount point", no_point),
        ("root", |f| f.rootfs = f.host("nowhere")),
        ("host name", |f| f.spec.hostname = Some("x".repeat(65))),
        ("directory", |f| f.spec.process.cwd = "/bin/busybox/x".into()),
        ("command", |f| {
            f.command(&["/nope"]);
        }),
        ("zero byte", |f| {
            f.command(&["true", "a\0b"]);
        }),
        ("no execve", |f| {
            let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["execve"],"action":"SCMP_ACT_ERRNO"}]}"#;
            f.spec.security.seccomp = knarr_core::spec::Seccomp::Profile(text.into());
        }),
        ("killed in between", |f| {
            let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["setresuid"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;
            f.spec.security.seccomp = knarr_core::spec::Seccomp::Profile(text.into());
        }),
    ];
    for (step, change) in steps {
        let mut fixture = Fixture::new();
        fixture.spec.limits.memory = Some(64 << 20);
        fixture.command(&["true"]);
        let (before, files) = (mounts(), open_files());
        change(&mut fixture);
        let error = fixture.start().err().unwrap_or_else(|| panic!("{step} did not fail"));
        assert!(!error.to_string().is_empty());
        assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new(), "{step}");
        assert_eq!((children(), mounts(), open_files()), (String::new(), before, files), "{step}");
    }
}

fn cleanup_kills_and_is_idempotent() {
    let mut fixture = Fixture::new();
    fixture.cleanup(); // of what never was
    let running = idle(&mut fixture);
    fixture.cleanup();
    assert_eq!(running.finish().code, 137);
    assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new());
    fixture.cleanup();
}

fn cgroups_that_the_guest_made() {
    let mut fixture = Fixture::new();
    fixture.spec.security.privileged = true;
    let script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do test -w $d/cgroup.procs && mkdir -p $d/own/deeper; done;
        sleep 1000 & for d in /sys/fs/cgroup /sys/fs/cgroup/*; do echo $! > $d/own/deeper/cgroup.procs; done 2>/dev/null; echo made; cat";
    fixture.shell(script);
    let mut running = fixture.start().unwrap();
    std::io::Read::read_exact(&mut running.stdout, &mut [0; 5]).unwrap();
    let made =
        cgroups_of(&fixture.spec.id).iter().filter(|path| path.join("own/deeper").exists()).count();
    assert!(made > 0);
    fixture.cleanup();
    assert_eq!(wait(running.guest.pid), 137);
    assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new());
}

fn a_cgroup_left_by_a_killed_monitor() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    // started again without having been cleared away: what is in the way is killed
    fixture.command(&["true"]);
    let again = fixture.start().unwrap();
    assert_eq!(running.finish().code, 137);
    assert_eq!(again.finish().code, 0);
    native::cleanup(&fixture.root, &fixture.spec.id).unwrap();
}
