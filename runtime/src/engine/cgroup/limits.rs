//! What a limit means in the files of a controller.
//!
//! Version 2: kernel, admin-guide/cgroup-v2.rst; version 1: admin-guide/cgroup-v1/. Conversions between them are
//! those of the OCI runtimes, so that a limit means the same under Knarr as under runc.

use super::Error;
use knarr_core::fsx;
use knarr_core::spec::Limits;
use knarr_core::spec::limits::{BlockQuantity, show_cpus, show_size};
use std::path::Path;

/// One file of a controller, and what is written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option it comes from, and its value as users write it.
    pub option: &'static str,
    pub asked: String,
    pub controller: &'static str,
    pub file: &'static str,
    pub value: String,
    /// Another name of the file, where the first is not there.
    pub other_file: Option<&'static str>,
    /// What stands before the value in the line of the file that has it.
    pub key: &'static str,
    /// A default of ours rather than a wish: where the kernel lacks the file, do without.
    pub optional: bool,
}

/// The period over which a CPU quota is counted, in µs: the kernel's default.
const PERIOD: u64 = 100_000;

/// Docker's scale of CPU shares (2 to 262144) on that of version 2 (1 to 10000).
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// µs of CPU time per [`PERIOD`].
fn quota(nano_cpus: u64) -> u64 {
    nano_cpus.saturating_mul(PERIOD) / 1_000_000_000
}

/// Swap on top of memory in bytes, `None` for unlimited: Docker's `--memory-swap` counts both together, -1 is
/// unlimited, and its default is as much swap as memory.
fn swap(limits: &Limits, memory: u64) -> Option<u64> {
    match limits.memory_swap {
        Some(-1) => None,
        None | Some(0) => Some(memory),
        Some(both) => Some((both.max(0) as u64).saturating_sub(memory)),
    }
}

/// Docker's scale of weights of input and output (10 to 1000) on that of version 2 (1 to 10000).
fn io_weight(weight: u64) -> u64 {
    1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
}

/// What `limits` ask of a cgroup of version 2.
pub fn v2(limits: &Limits) -> Vec<Setting> {
    let mut settings = Settings::default();
    if let Some(memory) = limits.memory {
        let asked = show_size(memory);
        settings.add("--memory", &asked, "memory", "memory.max", memory.to_string());
        let swap = swap(limits, memory).map_or("max".into(), |bytes| bytes.to_string());
        settings.add_swap(limits, &asked, "memory.swap.max", swap);
    }
    if let Some(reservation) = limits.memory_reservation {
        let asked = show_size(reservation);
        let value = reservation.to_string();
        settings.add("--memory-reservation", &asked, "memory", "memory.low", value);
    }
    if let Some(cpus) = limits.nano_cpus {
        let value = format!("{} {PERIOD}", quota(cpus));
        settings.add("--cpus", &show_cpus(cpus), "cpu", "cpu.max", value);
    }
    if limits.cpu_period.is_some() || limits.cpu_quota.is_some() {
        let quota = limits.cpu_quota.map_or("max".into(), |quota| quota.to_string());
        let value = format!("{quota} {}", limits.cpu_period.unwrap_or(PERIOD));
        match limits.cpu_quota {
            Some(_) => settings.add("--cpu-quota", &quota, "cpu", "cpu.max", value.clone()),
            None => settings.add("--cpu-period", &value, "cpu", "cpu.max", value.clone()),
        };
    }
    if let Some(shares) = limits.cpu_shares.filter(|shares| *shares > 0) {
        let value = weight(shares).to_string();
        settings.add("--cpu-shares", &shares.to_string(), "cpu", "cpu.weight", value);
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        settings.add("--cpuset-cpus", cpus, "cpuset", "cpuset.cpus", cpus.clone());
    }
    if let Some(nodes) = &limits.cpuset_mems {
        settings.add("--cpuset-mems", nodes, "cpuset", "cpuset.mems", nodes.clone());
    }
    if let Some(pids) = limits.pids {
        settings.add("--pids-limit", &pids.to_string(), "pids", "pids.max", pids.to_string());
    }
    if let Some(weight) = limits.blkio_weight {
        let (asked, value) = (weight.to_string(), io_weight(weight).to_string());
        settings.add("--blkio-weight", &asked, "io", "io.weight", value).key = "default";
    }
    settings.0
}

/// What `limits` ask of cgroups of version 1.
pub fn v1(limits: &Limits) -> Vec<Setting> {
    let mut settings = Settings::default();
    if let Some(memory) = limits.memory {
        // the sum may never be below the memory alone: memory first
        let asked = show_size(memory);
        settings.add("--memory", &asked, "memory", "memory.limit_in_bytes", memory.to_string());
        let both =
            swap(limits, memory).map_or("-1".into(), |s| (memory.saturating_add(s)).to_string());
        settings.add_swap(limits, &asked, "memory.memsw.limit_in_bytes", both);
    }
    if let Some(reservation) = limits.memory_reservation {
        let asked = show_size(reservation);
        let value = reservation.to_string();
        settings.add("--memory-reservation", &asked, "memory", "memory.soft_limit_in_bytes", value);
    }
    if let Some(cpus) = limits.nano_cpus {
        let asked = show_cpus(cpus);
        settings.add("--cpus", &asked, "cpu", "cpu.cfs_period_us", PERIOD.to_string());
        settings.add("--cpus", &asked, "cpu", "cpu.cfs_quota_us", quota(cpus).to_string());
    }
    let times = [
        ("--cpu-period", "cpu.cfs_period_us", limits.cpu_period),
        ("--cpu-quota", "cpu.cfs_quota_us", limits.cpu_quota),
    ];
    for (option, file, value) in times {
        if let Some(value) = value.map(|value| value.to_string()) {
            settings.add(option, &value, "cpu", file, value.clone());
        }
    }
    if let Some(value) = limits.memory_swappiness.map(|value| value.to_string()) {
        let file = "memory.swappiness";
        settings.add("--memory-swappiness", &value, "memory", file, value.clone());
    }
    if limits.oom_kill_disable {
        let file = "memory.oom_control";
        let setting = settings.add("--oom-kill-disable", "true", "memory", file, "1".into());
        setting.key = "oom_kill_disable";
    }
    if let Some(weight) = limits.blkio_weight.map(|weight| weight.to_string()) {
        let file = "blkio.weight";
        let setting = settings.add("--blkio-weight", &weight, "blkio", file, weight.clone());
        setting.other_file = Some("blkio.bfq.weight");
    }
    if let Some(shares) = limits.cpu_shares.filter(|shares| *shares > 0) {
        let value = shares.clamp(2, 262_144).to_string();
        settings.add("--cpu-shares", &shares.to_string(), "cpu", "cpu.shares", value);
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        settings.add("--cpuset-cpus", cpus, "cpuset", "cpuset.cpus", cpus.clone());
    }
    if let Some(nodes) = &limits.cpuset_mems {
        settings.add("--cpuset-mems", nodes, "cpuset", "cpuset.mems", nodes.clone());
    }
    if let Some(pids) = limits.pids {
        settings.add("--pids-limit", &pids.to_string(), "pids", "pids.max", pids.to_string());
    }
    settings.0
}

/// What limits of block devices ask, whose numbers are looked up now: they may be others after the machine has been
/// switched off.
pub fn block(limits: &Limits, v2: bool) -> Result<Vec<Setting>, Error> {
    let mut settings = Settings::default();
    for limit in &limits.block {
        let option = limit.what.option();
        let device = device(&limit.path).map_err(|source| Error::BlockDevice {
            option,
            path: limit.path.clone(),
            source,
        })?;
        let (value, asked) = (limit.value, format!("{}:{}", limit.path, limit.value));
        if v2 {
            let file = if limit.what == BlockQuantity::Weight { "io.weight" } else { "io.max" };
            let value = match limit.what {
                BlockQuantity::Weight => format!("{device} {}", io_weight(value)),
                BlockQuantity::ReadBps => format!("{device} rbps={value}"),
                BlockQuantity::WriteBps => format!("{device} wbps={value}"),
                BlockQuantity::ReadIops => format!("{device} riops={value}"),
                BlockQuantity::WriteIops => format!("{device} wiops={value}"),
            };
            settings.add(option, &asked, "io", file, value);
        } else {
            let (file, other) = match limit.what {
                BlockQuantity::Weight => ("blkio.weight_device", Some("blkio.bfq.weight_device")),
                BlockQuantity::ReadBps => ("blkio.throttle.read_bps_device", None),
                BlockQuantity::WriteBps => ("blkio.throttle.write_bps_device", None),
                BlockQuantity::ReadIops => ("blkio.throttle.read_iops_device", None),
                BlockQuantity::WriteIops => ("blkio.throttle.write_iops_device", None),
            };
            let value = format!("{device} {value}");
            settings.add(option, &asked, "blkio", file, value).other_file = other;
        }
    }
    Ok(settings.0)
}

/// `MAJOR:MINOR`
fn device(path: &str) -> std::io::Result<String> {
    let stat = rustix::fs::stat(path)?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::BlockDevice => {
            Ok(format!("{}:{}", rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)))
        }
        _ => Err(rustix::io::Errno::NOTBLK.into()),
    }
}

#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn add(
        &mut self,
        option: &'static str,
        asked: &str,
        controller: &'static str,
        file: &'static str,
        value: String,
    ) -> &mut Setting {
        let (asked, other_file, key, optional) = (asked.to_owned(), None, "", false);
        let at = self.0.len();
        self.0.push(Setting { option, asked, controller, file, other_file, key, value, optional });
        &mut self.0[at]
    }

    /// Without a wish for swap this is a part of what `--memory` means.
    fn add_swap(&mut self, limits: &Limits, memory: &str, file: &'static str, value: String) {
        let (option, asked) = match limits.memory_swap {
            None => ("--memory", memory.to_owned()),
            Some(swap) => ("--memory-swap", u64::try_from(swap).map_or("-1".into(), show_size)),
        };
        self.add(option, &asked, "memory", file, value).optional = limits.memory_swap.is_none();
    }
}

impl Setting {
    /// Writes the file in `cgroup` and reads it back: what the kernel did not take is an error.
    pub fn apply(&self, cgroup: &Path) -> Result<(), Error> {
        let other = self.other_file.map(|file| cgroup.join(file));
        let path = other.filter(|path| path.exists()).unwrap_or_else(|| cgroup.join(self.file));
        let failed = |source: fsx::Error| Error::Limit {
            option: self.option,
            value: self.asked.clone(),
            file: path.clone(),
            source,
        };
        match super::write(&path, &self.value) {
            Err(error) if self.optional && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            other => other.map_err(failed)?,
        }
        let found = fsx::read_to_string(&path).map_err(failed)?;
        let found = found.trim();
        let mut lines = found.lines().filter_map(|line| line.strip_prefix(self.key));
        if lines.any(|line| same(&self.value, line.trim())) {
            Ok(())
        } else {
            Err(Error::NotApplied {
                option: self.option,
                value: self.asked.clone(),
                found: found.to_owned(),
                file: path,
            })
        }
    }
}

/// Whether the kernel's answer means what was asked: numbers may be rounded down to a page, sets of processors
/// written differently, "unlimited" be some huge number.
fn same(asked: &str, found: &str) -> bool {
    let mut words = asked.split_whitespace();
    // of a line about a device, no more than what was asked
    let is_device = asked.contains(':');
    if asked == found || is_device && words.all(|word| found.split_whitespace().any(|w| w == word))
    {
        return true;
    }
    if let (Ok(asked), Ok(found)) = (asked.parse::<u64>(), found.parse::<u64>()) {
        // the largest page that any Linux has
        let page = 64 << 10;
        return found <= asked && asked - found < page;
    }
    if asked == "-1" || asked == "max" {
        return found.parse::<u64>().is_ok_and(|bytes| bytes >= 1 << 60) || found == "max";
    }
    match (processors(asked), processors(found)) {
        (Some(asked), Some(found)) => asked == found,
        _ => false,
    }
}

/// The members of a list such as `0-2,7`.
pub fn processors(list: &str) -> Option<std::collections::BTreeSet<u32>> {
    let mut set = std::collections::BTreeSet::new();
    for part in list.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to || to > 1 << 16 {
            return None;
        }
        set.extend(from..=to);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &[Setting]) -> Vec<String> {
        settings.iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    #[test]
    fn limits_in_both_versions() {
        let limits = Limits {
            memory: Some(64 << 20),
            memory_reservation: Some(32 << 20),
            nano_cpus: Some(1_500_000_000),
            cpu_shares: Some(512),
            cpuset_cpus: Some("0".into()),
            pids: Some(20),
            ..Limits::default()
        };
        assert_eq!(
            shown(&v2(&limits)),
            [
                "memory.max=67108864",
                "memory.swap.max=67108864",
                "memory.low=33554432",
                "cpu.max=150000 100000",
                "cpu.weight=20",
                "cpuset.cpus=0",
                "pids.max=20"
            ]
        );
        assert_eq!(
            shown(&v1(&limits)),
            [
                "memory.limit_in_bytes=67108864",
                "memory.memsw.limit_in_bytes=134217728",
                "memory.soft_limit_in_bytes=33554432",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=150000",
                "cpu.shares=512",
                "cpuset.cpus=0",
                "pids.max=20"
            ]
        );
    }

    #[test]
    fn swap_counts_memory_too() {
        let limits = |swap| Limits { memory: Some(100), memory_swap: swap, ..Limits::default() };
        let value = |limits: &Limits| v2(limits)[1].value.clone();
        assert_eq!(value(&limits(None)), "100");
        assert_eq!(value(&limits(Some(100))), "0");
        assert_eq!(value(&limits(Some(150))), "50");
        assert_eq!(value(&limits(Some(-1))), "max");
    }

    #[test]
    fn what_the_kernel_says_back() {
        assert!(same("67108865", "67108864") && !same("67108864", "67108865"));
        assert!(same("0,1,2", "0-2") && !same("0-2", "0-1"));
        assert!(same("-1", "9223372036854771712") && same("150000 100000", "150000 100000"));
    }
}
