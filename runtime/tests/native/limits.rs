//! Limits: written, read back from inside and outside, enforced, and refused where they can't be.

use crate::fixture::{Fixture, cgroups_of, chain, idle};
use knarr_core::spec::Ulimit;
use knarr_runtime::engine::cgroup::{self, Cgroup, Host, Scope};
use knarr_runtime::engine::native::{self, Error};
use std::fs;
use std::path::PathBuf;

crate::tests![
    limits_are_read_back,
    memory_is_enforced,
    pids_are_enforced,
    cpu_and_cpuset,
    an_unenforceable_limit_is_an_error,
    nonsense_is_refused,
    ulimits,
    stats_count,
    pause_and_resume,
    shm_size,
    no_protection_from_the_oom_killer,
    limits_of_a_process_that_runs,
];

/// The file of the container's controller, in whichever version of cgroups this host has it.
fn file(fixture: &Fixture, v1: &str, v2: &str) -> String {
    let found =
        cgroups_of(&fixture.spec.id).into_iter().flat_map(|path| [path.join(v1), path.join(v2)]);
    let file =
        found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("{v1}, {v2}"));
    fs::read_to_string(file).unwrap().trim().to_owned()
}

fn limits_are_read_back() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.memory = Some(64 << 20);
    fixture.spec.limits.memory_reservation = Some(32 << 20);
    fixture.spec.limits.pids = Some(100);
    fixture.spec.limits.nano_cpus = Some(500_000_000);
    let running = idle(&mut fixture);
    assert_eq!(file(&fixture, "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(file(&fixture, "memory.soft_limit_in_bytes", "memory.low"), "33554432");
    assert_eq!(file(&fixture, "pids.max", "pids.max"), "100");
    let quota = file(&fixture, "cpu.cfs_quota_us", "cpu.max");
    assert!(quota.starts_with("50000"), "{quota}");
    // the guest is in every one of them
    for path in cgroups_of(&fixture.spec.id) {
        let inside = fs::read_to_string(path.join("cgroup.procs")).unwrap();
        assert!(inside.lines().any(|pid| pid == running.guest.pid.to_string()), "{path:?}");
    }
    running.finish();
    fixture.cleanup();
    let inside = fixture.sh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max");
    assert_eq!(inside, "67108864");
}

fn memory_is_enforced() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.memory = Some(16 << 20);
    fixture.shell("dd if=/dev/zero of=/dev/null bs=256M count=1");
    assert_eq!(fixture.run().code, 137);
    fixture.shell("dd if=/dev/zero of=/dev/null bs=1M count=1");
    assert_eq!(fixture.run().code, 0);
}

fn pids_are_enforced() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.pids = Some(5);
    fixture.shell("for i in $(seq 20); do sleep 100 & done; true");
    let output = fixture.run();
    assert!(output.stderr.contains("can't fork"), "{output:?}");
}

fn cpu_and_cpuset() {
    let mut fixture = Fixture::new();
    fixture.spec.limits.cpuset_cpus = Some("0".into());
    fixture.spec.limits.cpu_shares = Some(512);
    assert_eq!(fixture.sh("grep Cpus_allowed_list /proc/self/status | grep -o '[0-9].*'"), "0");
    let mut fixture = Fixture::new();
    fixture.spec.limits.cpuset_cpus = Some("4000".into());
    fixture.command(&["true"]);
    let error = fixture.start().err().expect("there is no such processor");
    assert!(chain(&error).contains("--cpuset-cpus 4000 was refused"), "{}", chain(&error));
    assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new());
}

fn an_unenforceable_limit_is_an_error() {
    use knarr_core::hint::Hint;
    let mut fixture = Fixture::new();
    fixture.spec.limits.pids = Some(10);
    let bare = Host { v1: Vec::new(), ..Host::detect(true) };
    let error = cgroup::check(&bare, &fixture.spec.limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--pids-limit 10 cannot be enforced: this host has no cgroup controller \"pids\""
    );
    assert!(error.hint().unwrap().contains("--pids-limit"));
    let user = Host { superuser: false, ..bare };
    let error = cgroup::check(&user, &fixture.spec.limits).unwrap_err();
    assert!(error.to_string().contains("not delegated"), "{error}");
    assert!(error.hint().unwrap().contains("Delegate=yes"));
}

fn nonsense_is_refused() {
    let mut fixture = Fixture::new();
    fixture.command(&["true"]);
    let mut refused = |change: &dyn Fn(&mut knarr_core::spec::Limits), expected: &str| {
        fixture.spec.limits = Default::default();
        change(&mut fixture.spec.limits);
        let error = native::check(&fixture.spec).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(&|limits| limits.nano_cpus = Some(1_000_000_000_000), "more than this machine's");
    refused(&|limits| limits.nano_cpus = Some(1000), "smallest share");
    refused(&|limits| limits.memory = Some(4096), "smallest limit");
    refused(&|limits| limits.memory_swap = Some(1 << 30), "needs --memory");
    refused(
        &|limits| {
            limits.memory = Some(64 << 20);
            limits.memory_swap = Some(32 << 20);
        },
        "less than --memory",
    );
}

fn ulimits() {
    let mut fixture = Fixture::new();
    let inherited = fixture.sh("ulimit -Hn; ulimit -Sn");
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(inherited, format!("{}\n{}", own.maximum.unwrap(), own.current.unwrap()));
    let ulimit =
        |name: &str, soft, hard| Ulimit { name: name.into(), soft: Some(soft), hard: Some(hard) };
    fixture.spec.limits.ulimits = vec![ulimit("nofile", 64, 128), ulimit("core", 0, 0)];
    assert_eq!(fixture.sh("ulimit -Sn; ulimit -Hn; ulimit -Sc"), "64\n128\n0");
    fixture.spec.limits.ulimits = vec![ulimit("nofile", 64, own.maximum.unwrap() + 1)];
    match fixture.start() {
        Err(error @ Error::LimitAboveHard { .. }) => {
            assert_eq!(error.exit_code(), 125);
            assert_eq!(cgroups_of(&fixture.spec.id), Vec::<PathBuf>::new());
        }
        Err(error) => panic!("{}", chain(&error)),
        Ok(running) => assert_eq!(running.finish().code, 0), // whoever has SYS_RESOURCE may
    }
}

fn stats_count() {
    let mut fixture = Fixture::new();
    for memory in [None, Some(64 << 20)] {
        fixture.spec.limits.memory = memory;
        fixture.spec.limits.pids = memory.map(|_| 50);
        let running = idle(&mut fixture);
        let stats = native::stats(&fixture.root, &fixture.spec.id).unwrap();
        assert!(stats.cpu.is_some_and(|ns| ns > 0), "{stats:?}");
        assert!(stats.memory.is_some_and(|bytes| (1..64 << 20).contains(&bytes)), "{stats:?}");
        // the shell, and its cat unless it is still to come
        assert!(matches!(stats.pids, Some(1 | 2)), "{stats:?}");
        assert_eq!((stats.memory_limit, stats.pids_limit), (memory, memory.map(|_| 50)));
        running.finish();
        fixture.cleanup();
    }
}

fn pause_and_resume() {
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    let (root, id) = (&fixture.root, &fixture.spec.id);
    native::pause(root, id).unwrap();
    // what is frozen neither runs nor can be scheduled: the kernel says so, no clock is needed
    for path in cgroups_of(id) {
        if let Ok(events) = fs::read_to_string(path.join("cgroup.events")) {
            assert!(events.contains("frozen 1"), "{events}");
        }
    }
    native::resume(root, id).unwrap();
    assert_eq!(running.finish().code, 0);
    // a paused container can be killed
    let mut fixture = Fixture::new();
    let running = idle(&mut fixture);
    native::pause(&fixture.root, &fixture.spec.id).unwrap();
    fixture.cleanup();
    assert_eq!(running.finish().code, 137);
}

fn shm_size() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.sh("df -k /dev/shm | tail -1 | grep -c ' 65536 '"), "1");
    fixture.spec.limits.shm_size = Some(1 << 20);
    assert_eq!(fixture.sh("df -k /dev/shm | tail -1 | grep -c ' 1024 '"), "1");
}

fn no_protection_from_the_oom_killer() {
    let mut fixture = Fixture::new();
    // lowering is a privilege that this test may not have; raising is not, and the reset is the same write
    fs::write("/proc/self/oom_score_adj", "-1")
        .or_else(|_| fs::write("/proc/self/oom_score_adj", "0"))
        .unwrap();
    assert_eq!(fixture.sh("cat /proc/self/oom_score_adj"), "0");
}

fn limits_of_a_process_that_runs() {
    let fixture = Fixture::new();
    let mut limits = knarr_core::spec::Limits { pids: Some(7), ..Default::default() };
    limits.memory = Some(32 << 20);
    let mut child =
        std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (host, id) = (Host::detect(true), &fixture.spec.id);
    let cgroup = Cgroup::create(&host, id, &limits, Scope::default()).unwrap();
    cgroup.write_down(&host, &fixture.root, id).unwrap();
    cgroup.add(child.id()).unwrap();
    cgroup.keep();
    assert_eq!(file(&fixture, "pids.max", "pids.max"), "7");
    assert_eq!(cgroup::stats(&host, id).unwrap().memory_limit, Some(32 << 20));
    cgroup::remove(&host, id).unwrap();
    assert_eq!(cgroups_of(id), Vec::<PathBuf>::new());
    assert!(!child.wait().unwrap().success());
}
