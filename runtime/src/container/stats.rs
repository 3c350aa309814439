//! `stats`: what running containers use.

use super::Result;
use crate::engine::{self, native};
use crate::state::Container;
use crate::sys::process::clock_ticks;
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::{EngineKind, NetworkMode};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What one container used until a moment. `None`: this host does not count it.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Instant,
    /// Processor time in ns.
    pub cpu: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes; the machine's memory where there is no limit.
    pub memory_limit: u64,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes received and sent; of the host's own network, and of one that Wasm containers share, nothing is counted.
    pub network: Option<(u64, u64)>,
    /// Bytes read from and written to disks.
    pub blocks: Option<(u64, u64)>,
}

/// Reads what a container uses by now; `None` if it does not run.
pub fn sample(root: &Root, container: &Container) -> Result<Option<Sample>> {
    let (spec, state) = (&container.spec, &container.state);
    let Some(guest) = state.pid.filter(|_| state.is_alive()) else { return Ok(None) };
    let machine = rustix::system::sysinfo();
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // 32 bits on some machines
    let machine = machine.totalram as u64 * u64::from(machine.mem_unit);
    let mut sample = Sample {
        at: Instant::now(),
        cpu: None,
        memory: None,
        memory_limit: spec.limits.memory.unwrap_or(machine).min(machine),
        pids: None,
        network: None,
        blocks: None,
    };
    if spec.engine == EngineKind::Native {
        let counted = native::stats(root, &spec.id)?;
        sample.cpu = counted.cpu;
        sample.memory = counted.memory;
        sample.memory_limit = counted.memory_limit.unwrap_or(sample.memory_limit);
        sample.pids = counted.pids;
        sample.blocks = counted.block_read.zip(counted.block_written);
        if !matches!(spec.network, NetworkMode::Host) {
            sample.network = network(guest);
        }
    }
    // what no cgroup counts, the processes themselves tell
    let folders: Vec<PathBuf> = engine::processes(spec, guest)
        .iter()
        .map(|pid| PathBuf::from(format!("/proc/{pid}")))
        .collect();
    let sum = |of: fn(&Path) -> Option<u64>| folders.iter().filter_map(|f| of(f)).sum::<u64>();
    sample.cpu = sample.cpu.or_else(|| Some(sum(cpu)));
    sample.memory = sample.memory.or_else(|| Some(sum(memory)));
    sample.pids = sample.pids.or_else(|| Some(sum(threads)));
    sample.blocks = sample.blocks.or_else(|| Some((sum(bytes_read), sum(bytes_written))));
    Ok(Some(sample))
}

impl Sample {
    /// Per cent of one processor since an earlier sample.
    pub fn cpu_percent(&self, earlier: &Self) -> Option<f64> {
        let used = self.cpu?.saturating_sub(earlier.cpu?) as f64;
        let passed = self.at.saturating_duration_since(earlier.at).as_nanos() as f64;
        Some(if passed > 0.0 { used / passed * 100.0 } else { 0.0 })
    }

    pub fn memory_percent(&self) -> Option<f64> {
        Some(self.memory? as f64 / self.memory_limit.max(1) as f64 * 100.0)
    }
}

/// proc_pid_stat(5), fields 14 and 15, in ns.
fn cpu(process: &Path) -> Option<u64> {
    let stat = fsx::read_to_string(&process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * 1_000_000_000 / clock_ticks())
}

fn memory(process: &Path) -> Option<u64> {
    Some(field(process, "smaps_rollup", "Pss:")? * 1024)
}

fn threads(process: &Path) -> Option<u64> {
    field(process, "status", "Threads:")
}

fn bytes_read(process: &Path) -> Option<u64> {
    field(process, "io", "read_bytes:")
}

fn bytes_written(process: &Path) -> Option<u64> {
    field(process, "io", "write_bytes:")
}

fn field(process: &Path, file: &str, name: &str) -> Option<u64> {
    let text = fsx::read_to_string(&process.join(file)).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// All interfaces of its namespace but `lo` (proc_pid_net(5)).
fn network(guest: u32) -> Option<(u64, u64)> {
    let text = fsx::read_to_string(Path::new(&format!("/proc/{guest}/net/dev"))).ok()?;
    let (mut received, mut sent) = (0, 0);
    for line in text.lines() {
        let Some((name, counts)) = line.split_once(':') else { continue };
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        if name.trim() != "lo" && counts.len() > 8 {
            received += counts[0];
            sent += counts[8];
        }
    }
    Some((received, sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        let own = PathBuf::from("/proc/self");
        assert!(cpu(&own).is_some() && threads(&own).unwrap() >= 1);
        assert!(memory(&own).unwrap() > 1 << 20);
        assert!(network(std::process::id()).is_some());
    }

    #[test]
    fn percentages() {
        let at = Instant::now();
        let sample = |seconds: u64, cpu: u64| Sample {
            at: at + std::time::Duration::from_secs(seconds),
            cpu: Some(cpu),
            memory: Some(25),
            memory_limit: 100,
            pids: None,
            network: None,
            blocks: None,
        };
        let percent = sample(2, 4_000_000_000).cpu_percent(&sample(0, 1_000_000_000)).unwrap();
        assert!((percent - 150.0).abs() < 0.1);
        assert_eq!(sample(0, 0).memory_percent(), Some(25.0));
    }
}
