//! What Docker's containers have and these do not, with the values that it has where nobody asked for anything: scripts and
//! templates name them.

use knarr_core::nil;
use serde::Serialize;

/// Of `HostConfig`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Others {
    #[serde(rename = "ContainerIDFile")]
    container_id_file: &'static str,
    volume_driver: &'static str,
    volumes_from: nil::Slice,
    mounts: nil::Slice,
    console_size: [u32; 2],
    annotations: nil::Map,
    cgroupns_mode: Private,
    ipc_mode: Private,
    cgroup: &'static str,
    links: nil::Slice,
    oom_score_adj: i32,
    pid_mode: &'static str,
    publish_all_ports: bool,
    storage_opt: nil::Map,
    #[serde(rename = "UTSMode")]
    uts_mode: &'static str,
    userns_mode: &'static str,
    sysctls: nil::Map,
    isolation: &'static str,
    cgroup_parent: &'static str,
    blkio_weight: u32,
    blkio_weight_device: [u32; 0],
    blkio_device_read_bps: [u32; 0],
    blkio_device_write_bps: [u32; 0],
    #[serde(rename = "BlkioDeviceReadIOps")]
    blkio_device_read_iops: [u32; 0],
    #[serde(rename = "BlkioDeviceWriteIOps")]
    blkio_device_write_iops: [u32; 0],
    cpu_period: u32,
    cpu_quota: u32,
    cpu_realtime_period: u32,
    cpu_realtime_runtime: u32,
    cpuset_mems: &'static str,
    devices: [u32; 0],
    device_cgroup_rules: nil::Slice,
    device_requests: nil::Slice,
    memory_swappiness: Option<u32>,
    oom_kill_disable: bool,
    cpu_count: u32,
    cpu_percent: u32,
    #[serde(rename = "IOMaximumIOps")]
    io_maximum_iops: u32,
    #[serde(rename = "IOMaximumBandwidth")]
    io_maximum_bandwidth: u32,
}

/// A namespace of its own.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "lowercase")]
enum Private {
    #[default]
    Private,
}
