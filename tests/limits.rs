//! Limits that few need, as the kernel keeps them.

use crate::harness::{Knarr, proc};
use crate::sharing::{folder_of, started};
use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// The content of a file of one of a container's cgroups; the first of `files` that is there.
pub fn of_cgroup(id: &str, files: &[&str]) -> String {
    let groups = proc::cgroups_of(&BTreeSet::from([id.to_owned()]));
    let found = groups.iter().flat_map(|group| files.iter().map(move |file| group.join(file)));
    let texts: Vec<String> = found.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    texts.first().unwrap_or_else(|| panic!("{files:?}")).trim().to_owned()
}

#[test]
fn limits_that_few_need() {
    let knarr = Knarr::new().with_busybox();
    let id = started(
        &knarr,
        &[
            "--cpu-period",
            "50000",
            "--cpu-quota",
            "25000",
            "--cpuset-mems",
            "0",
            "--memory",
            "64m",
            "--oom-score-adj",
            "321",
        ],
    );
    let max = of_cgroup(&id, &["cpu.max", "cpu.cfs_quota_us"]);
    assert!(["25000", "25000 50000"].contains(&&*max), "{max}");
    assert_eq!(of_cgroup(&id, &["cpuset.mems"]), "0");
    let score = |process: PathBuf| std::fs::read_to_string(process.join("oom_score_adj")).unwrap();
    assert_eq!(score(folder_of(&knarr, &id)), "321\n");
    assert_eq!(knarr.ok(&["exec", &id, "cat", "/proc/self/oom_score_adj"]), "321");
    let fields =
        "{{with .HostConfig}}{{.CpuPeriod}} {{.CpuQuota}} {{.CpusetMems}} {{.OomScoreAdj}}{{end}}";
    assert_eq!(knarr.inspect(&id, fields), "50000 25000 0 321");
    for (options, said) in [
        (&["--cpus", "1", "--cpu-quota", "5000"][..], "--cpus conflicts"),
        (&["--cpu-period", "10"], "between 1000 and 1000000"),
        (&["--cpu-quota", "10"], "between 1000"),
        (&["--cpuset-mems", "99"], "--cpuset-mems 99"),
        (&["--oom-score-adj", "1001"], "between -1000 and 1000"),
        (&["--memory-swappiness", "101"], "between 0 and 100"),
        (&["--blkio-weight", "5"], "between 10 and 1000"),
        (&["--blkio-weight-device", "/dev/null:5"], "from 10 to 1000"),
        (&["--device-read-bps", "/dev/null:1mb"], "not a block device"),
        (&["--device-write-iops", "/dev/null:x"], "DEVICE:OPERATIONS"),
        (&["--storage-opt", "size=1G"], "--tmpfs PATH:size=BYTES"),
        (&["--isolation", "hyperv"], "default"),
        (&["--uts", "host", "--hostname", "x"], "--uts host"),
        (&["--pid", "banana"], "container:NAME"),
        (&["--userns", "keep-id"], "write host"),
        (&["--cgroupns", "none"], "host or private"),
        (&["--annotation", "=x"], "NAME=VALUE"),
    ] {
        let error = knarr.fails(125, &[&["run", "--rm"], options, &["busybox", "true"]].concat());
        assert!(error.contains(said), "{options:?}: {error}");
    }
    let id = started(&knarr, &["--isolation", "default", "--annotation", "a.b/c=d"]);
    assert_eq!(knarr.inspect(&id, "{{json .HostConfig.Annotations}}"), r#"{"a.b/c":"d"}"#);
}

/// What only version 1 of cgroups knows is refused elsewhere.
#[test]
fn memory_is_swapped_and_taken_as_asked() {
    let knarr = Knarr::new().with_busybox();
    let options = ["--memory", "64m", "--memory-swappiness", "7", "--oom-kill-disable"];
    if !PathBuf::from("/sys/fs/cgroup/memory").is_dir() {
        let error = knarr.fails(125, &[&["run"], &options[..], &["busybox", "true"]].concat());
        assert!(error.contains("version 2"), "{error}");
        return;
    }
    let id = started(&knarr, &options);
    assert_eq!(of_cgroup(&id, &["memory.swappiness"]), "7");
    assert!(of_cgroup(&id, &["memory.oom_control"]).contains("oom_kill_disable 1"));
    let fields = "{{.HostConfig.MemorySwappiness}} {{.HostConfig.OomKillDisable}}";
    assert_eq!(knarr.inspect(&id, fields), "7 true");
}

/// On the first disk of this machine, if it has one.
#[test]
fn input_and_output_are_limited() {
    let disks = std::fs::read_dir("/sys/block").unwrap().flatten();
    let names = disks.map(|disk| disk.file_name().into_string().unwrap());
    let Some(disk) = names
        .map(|n| format!("/dev/{n}"))
        .find(|path| std::fs::metadata(path).is_ok_and(|node| node.file_type().is_block_device()))
    else {
        return;
    };
    let node = std::fs::metadata(&disk).unwrap();
    let device = format!("{}:{}", rustix::fs::major(node.rdev()), rustix::fs::minor(node.rdev()));
    let knarr = Knarr::new().with_busybox().with_kit();
    for (option, value, file, unified, field) in [
        ("--device-read-bps", "1mb", "read_bps", "rbps=1048576", "BlkioDeviceReadBps"),
        ("--device-write-bps", "2048", "write_bps", "wbps=2048", "BlkioDeviceWriteBps"),
        ("--device-read-iops", "100", "read_iops", "riops=100", "BlkioDeviceReadIOps"),
        ("--device-write-iops", "9", "write_iops", "wiops=9", "BlkioDeviceWriteIOps"),
    ] {
        let number = unified.split_once('=').unwrap().1;
        for guest in [&["busybox", "sleep", "1000"][..], &["kit", "log", "100000", "10"]] {
            let limit = format!("{disk}:{value}");
            let id = knarr.ok(&[&["run", "-d", option, &limit], guest].concat());
            let name = format!("blkio.throttle.{file}_device");
            let found = of_cgroup(&id, &["io.max", &name]);
            let (v1, v2) = (format!("{device} {number}"), format!("{device} "));
            assert!(found == v1 || found.starts_with(&v2) && found.contains(unified), "{found}");
            let field = format!("{{{{(index .HostConfig.{field} 0).Rate}}}}");
            assert_eq!(knarr.inspect(&id, &field), number);
            knarr.ok(&["rm", "-f", &id]);
        }
    }
    let weight = format!("{disk}:300");
    let options = ["--blkio-weight", "200", "--blkio-weight-device", &weight];
    let ended = knarr.run(&[&["run", "-d"], &options[..], &["busybox", "sleep", "1000"]].concat());
    // it takes a scheduler that knows weights
    match ended.code {
        0 => {
            let id = ended.stdout.trim();
            let found = of_cgroup(id, &["io.weight", "blkio.weight", "blkio.bfq.weight"]);
            assert!(["200", "default 1920"].iter().any(|w| found.starts_with(w)), "{found}");
        }
        _ => assert!(ended.stderr.contains("scheduler"), "{}", ended.stderr),
    }
}
