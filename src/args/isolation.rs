//! The options of `run` and `create` about namespaces, devices and the kernel: settings, and limits that few need.

use crate::error::Failure;
use clap::Args;
use knarr_core::spec::limits::{BlockQuantity, Limits};
use knarr_runtime::container::options::IsolationOptions;

#[derive(Debug, Args)]
pub struct IsolationArgs {
    /// A note that 'inspect' shows
    #[arg(long, value_name = "NAME[=VALUE]")]
    annotation: Vec<String>,
    /// Relative weight of its input and output (10 to 1000); an ordinary user's as --cpus
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u64>,
    /// The same on one device
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    blkio_weight_device: Vec<String>,
    /// Its cgroups as the host sees them (host), or only from its own on (private)
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<String>,
    /// Microseconds over which --cpu-quota counts
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Microseconds of processor time in each period; an ordinary user's as --cpus
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Memory nodes to use (0-3, 0,1); an ordinary user's as --cpus
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Give it a device of the host, or a directory of them: HOST[:CONTAINER[:rwm]]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Allow it devices by their numbers: 'c 10:229 rwm'
    #[arg(long, value_name = "RULE")]
    device_cgroup_rule: Vec<String>,
    /// Most bytes a second that are read from a device; an ordinary user's as --cpus
    #[arg(long, value_name = "DEVICE:BYTES")]
    device_read_bps: Vec<String>,
    /// Most reads a second from a device; an ordinary user's as --cpus
    #[arg(long, value_name = "DEVICE:NUMBER")]
    device_read_iops: Vec<String>,
    /// Most bytes a second that are written to a device; an ordinary user's as --cpus
    #[arg(long, value_name = "DEVICE:BYTES")]
    device_write_bps: Vec<String>,
    /// Most writes a second to a device; an ordinary user's as --cpus
    #[arg(long, value_name = "DEVICE:NUMBER")]
    device_write_iops: Vec<String>,
    /// Its shared memory and queues: private, shareable, none, host, or container:NAME, which is shareable
    #[arg(long, value_name = "MODE")]
    ipc: Option<String>,
    /// Only default
    #[arg(long, value_name = "TECHNOLOGY", value_parser = ["", "default"], hide_possible_values = true)]
    isolation: Option<String>,
    /// How readily the kernel swaps its memory out (0 to 100; cgroups of version 1); -1 as the host does
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    memory_swappiness: Option<i64>,
    /// Let it wait when it reaches its memory limit, instead of killing (cgroups of version 1)
    #[arg(long)]
    oom_kill_disable: bool,
    /// How readily the kernel kills it when the host's memory runs out (-1000 to 1000)
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    oom_score_adj: Option<i32>,
    /// See the processes of the host (host) or of another container (container:NAME)
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// Refused: containers share the room of the file system that Knarr is on
    #[arg(long, value_name = "NAME=VALUE", hide = true)]
    storage_opt: Vec<String>,
    /// Set a setting of the kernel that is the container's own: net.core.somaxconn=1024
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Only host, which is what the superuser's containers have
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Have the host's name (host)
    #[arg(long, value_name = "MODE")]
    uts: Option<String>,
}

impl IsolationArgs {
    pub fn options(&self) -> Result<IsolationOptions, Failure> {
        if let Some(option) = self.storage_opt.first() {
            return Err(Failure::usage(format!(
                "--storage-opt {option} cannot be had: a container's files lie in a directory of the host's file \
                 system, whose size is not limited"
            ))
            .hint("limit what it writes with --read-only and --tmpfs PATH:size=BYTES"));
        }
        Ok(IsolationOptions {
            pid: self.pid.clone(),
            ipc: self.ipc.clone(),
            uts: self.uts.clone(),
            userns: self.userns.clone(),
            cgroupns: self.cgroupns.clone(),
            sysctls: self.sysctl.clone(),
            devices: self.device.clone(),
            device_rules: self.device_cgroup_rule.clone(),
            oom_score_adj: self.oom_score_adj,
            annotations: self.annotation.clone(),
        })
    }

    /// Adds its own to other limits.
    pub fn limits(&self, others: Limits) -> Result<Limits, Failure> {
        let mut block = Vec::new();
        for (quantity, texts) in [
            (BlockQuantity::Weight, &self.blkio_weight_device),
            (BlockQuantity::ReadBps, &self.device_read_bps),
            (BlockQuantity::WriteBps, &self.device_write_bps),
            (BlockQuantity::ReadIops, &self.device_read_iops),
            (BlockQuantity::WriteIops, &self.device_write_iops),
        ] {
            for text in texts {
                block.push(quantity.parse(text)?);
            }
        }
        let swappiness = match self.memory_swappiness {
            // Docker's "as the host does"
            None | Some(-1) => None,
            Some(number) => Some(u64::try_from(number).map_err(|_| {
                Failure::usage(format!("--memory-swappiness {number} is not between 0 and 100"))
            })?),
        };
        Ok(Limits {
            cpuset_mems: self.cpuset_mems.clone().filter(|list| !list.is_empty()),
            // 0 and less are Docker's "unlimited"
            cpu_period: self.cpu_period.filter(|period| *period > 0),
            cpu_quota: self.cpu_quota.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
            memory_swappiness: swappiness,
            oom_kill_disable: self.oom_kill_disable,
            blkio_weight: self.blkio_weight.filter(|weight| *weight > 0),
            block,
            ..others
        })
    }
}
