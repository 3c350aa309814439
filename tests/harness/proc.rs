//! What the kernel knows: processes, mounts, control groups.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition that no event announces. Bounded: it fails the test in the end.
#[track_caller]
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        // the pause between two looks; nothing relies on its length
        let pause = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let _ = poll(&mut [], Some(&pause));
    }
}

/// A process, held by a descriptor: its number cannot come to mean another one.
pub struct Process {
    pub id: i32,
    fd: OwnedFd,
}

impl Process {
    pub fn open(id: i32) -> Option<Self> {
        let fd = pidfd_open(Pid::from_raw(id)?, PidfdFlags::empty()).ok()?;
        Some(Self { id, fd })
    }

    /// The name of its program.
    pub fn name(&self) -> String {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.id)).unwrap_or_default();
        let path = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = String::from_utf8_lossy(path);
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Whether it has this signal in a mask of `/proc/ID/status`: `SigBlk` (it waits for it), `ShdPnd` (it has it to come).
    pub fn has(&self, mask: &str, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id));
        let status = status.unwrap_or_default();
        let masks = status.lines().filter_map(|line| line.split_once(":\t"));
        let value = masks.into_iter().find(|(name, _)| *name == mask).map_or("0", |(_, v)| v);
        u64::from_str_radix(value.trim(), 16).unwrap() & 1 << (signal.as_raw() - 1) != 0
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub fn signal(&self, signal: Signal) {
        // it may have ended
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn ended(&self) {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1), "process {} has not ended", self.id);
    }
}

/// The processes that belong to a root directory: those that were started with it, and those that live in its
/// containers.
pub fn of_root(root: &Path) -> Vec<Process> {
    let text = root.to_str().unwrap();
    let mine = std::process::id() as i32;
    // what is mounted elsewhere under the root is mounted on the host, and everybody sees it
    let containers = format!("{text}/containers/");
    let belongs = |id: &i32| {
        let has = |file: &str, text: &str| {
            let bytes = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            bytes.windows(text.len()).any(|w| w == text.as_bytes())
        };
        // a zombie has none of them
        *id != mine
            && (has("environ", text) || has("cmdline", text) || has("mountinfo", &containers))
    };
    processes().into_iter().filter(belongs).filter_map(Process::open).collect()
}

/// The processes of a user, whatever namespaces they are in.
pub fn of_user(id: u32) -> Vec<Process> {
    // the owner of the folder would be the superuser where a process may not be looked at
    let owner = |process: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_whitespace().next()?.parse::<u32>().ok()
    };
    let all = processes().into_iter().filter(|process| owner(process) == Some(id));
    all.filter_map(Process::open).collect()
}

fn processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The mount points of this namespace under a directory.
pub fn mounts_under(root: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let text = root.to_str().unwrap();
    mounts.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// The control groups, in every hierarchy, that carry a container's id.
pub fn cgroups_of(ids: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if ids.iter().any(|id| name.contains(id.as_str())) {
                found.push(entry.path());
            }
            folders.push(entry.path());
        }
    }
    found
}

/// The containers whose folders exist, whatever their state.
pub fn container_folders(root: &Path) -> BTreeSet<String> {
    let folders = [root.join("containers"), root.join("run/c"), root.join("run/oci")];
    let entries = folders.iter().flat_map(std::fs::read_dir).flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.len() >= 32).collect()
}
