//! What a container uses.

use super::{Error, Host, existing};
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use std::path::Path;

/// Use of one container, summed over its processes. `None`: this host does not count it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time since the start, in ns.
    pub cpu: Option<u64>,
    /// Processor time in user and kernel mode, in ns.
    pub cpu_user: Option<u64>,
    pub cpu_system: Option<u64>,
    /// Bytes, without page cache that could be dropped at once.
    pub memory: Option<u64>,
    /// Bytes; `None` also where there is no limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    pub pids_limit: Option<u64>,
    /// Bytes read from and written to block devices.
    pub block_read: Option<u64>,
    pub block_written: Option<u64>,
}

/// Reads the use of a running container.
pub fn stats(host: &Host, id: &ContainerId) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    for cgroup in existing(host, id) {
        let path = &cgroup.path;
        if cgroup.name.is_empty() {
            unified(path, &mut stats)?;
        }
        if cgroup.has("cpuacct") {
            stats.cpu = number(path, "cpuacct.usage")?.or(stats.cpu);
        }
        if cgroup.has("memory") {
            let used = number(path, "memory.usage_in_bytes")?;
            let cache = field(path, "memory.stat", "total_inactive_file")?.unwrap_or(0);
            stats.memory = used.map(|used| used.saturating_sub(cache));
            // "no limit" is the largest number of pages
            stats.memory_limit =
                number(path, "memory.limit_in_bytes")?.filter(|limit| *limit < 1 << 60);
        }
        if cgroup.has("pids") {
            stats.pids = number(path, "pids.current")?;
            stats.pids_limit = number(path, "pids.max")?;
        }
    }
    if stats.memory.is_none() || stats.pids.is_none() {
        processes(host, id, &mut stats)?;
    }
    Ok(stats)
}

/// Whether the kernel killed a process of the container because it reached its memory limit.
pub fn was_oom_killed(host: &Host, id: &ContainerId) -> Result<bool, Error> {
    for cgroup in existing(host, id) {
        let kills = match cgroup.name.is_empty() {
            true => field(&cgroup.path, "memory.events", "oom_kill")?,
            false if cgroup.has("memory") => field(&cgroup.path, "memory.oom_control", "oom_kill")?,
            false => None,
        };
        if kills.is_some_and(|kills| kills > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unified(path: &Path, stats: &mut Stats) -> Result<(), Error> {
    // the file exists even where the controller `cpu` is in version 1
    let time = |name| Ok::<_, Error>(field(path, "cpu.stat", name)?.map(|micros| micros * 1000));
    stats.cpu = time("usage_usec")?;
    stats.cpu_user = time("user_usec")?;
    stats.cpu_system = time("system_usec")?;
    if let Some(used) = number(path, "memory.current")? {
        let cache = field(path, "memory.stat", "inactive_file")?.unwrap_or(0);
        stats.memory = Some(used.saturating_sub(cache));
        stats.memory_limit = number(path, "memory.max")?;
    }
    stats.pids = number(path, "pids.current")?;
    stats.pids_limit = number(path, "pids.max")?;
    if let Some(text) = fsx::read_optional(&path.join("io.stat"))? {
        let text = String::from_utf8_lossy(&text);
        let sum = |key: &str| {
            let values = text.split_whitespace().filter_map(|pair| pair.strip_prefix(key));
            values.filter_map(|value| value.parse::<u64>().ok()).sum()
        };
        stats.block_read = Some(sum("rbytes="));
        stats.block_written = Some(sum("wbytes="));
    }
    Ok(())
}

/// On a hybrid host a container without limits is in no hierarchy that counts memory or processes: ask each of them.
fn processes(host: &Host, id: &ContainerId, stats: &mut Stats) -> Result<(), Error> {
    let Some(cgroup) = existing(host, id).into_iter().next() else { return Ok(()) };
    let mut memory = 0;
    let mut threads = 0;
    let mut directories = vec![cgroup.path];
    while let Some(directory) = directories.pop() {
        let Some(pids) = fsx::read_optional(&directory.join("cgroup.procs"))? else { continue };
        for pid in String::from_utf8_lossy(&pids).lines() {
            let process = Path::new("/proc").join(pid);
            // a process that ends meanwhile has nothing
            memory += field(&process, "smaps_rollup", "Pss:").unwrap_or(None).unwrap_or(0) * 1024;
            threads += field(&process, "status", "Threads:").unwrap_or(None).unwrap_or(0);
        }
        let children = fsx::list(&directory).unwrap_or_default();
        directories.extend(children.iter().map(|c| directory.join(c)).filter(|c| c.is_dir()));
    }
    stats.memory = stats.memory.or(Some(memory));
    stats.pids = stats.pids.or(Some(threads));
    Ok(())
}

/// A file with one number; `None` if it is absent or says `max`.
fn number(directory: &Path, file: &str) -> Result<Option<u64>, Error> {
    let text = fsx::read_optional(&directory.join(file))?;
    Ok(text.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok()))
}

/// A line `name number` of a file.
fn field(directory: &Path, file: &str, name: &str) -> Result<Option<u64>, Error> {
    let Some(text) = fsx::read_optional(&directory.join(file))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&text);
    let value = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()).flatten()
    });
    Ok(value.and_then(|value| value.parse().ok()))
}
