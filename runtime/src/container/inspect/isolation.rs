//! Namespaces, devices and limits that few ask for, under Docker's names.

use knarr_core::nil;
use knarr_core::spec::ContainerSpec;
use knarr_core::spec::isolation::DeviceMapping;
use knarr_core::spec::limits::{BlockLimit, BlockQuantity};
use serde::Serialize;
use std::collections::BTreeMap;

/// Of `HostConfig`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Isolation {
    #[serde(serialize_with = "nil::omitempty_map")]
    annotations: BTreeMap<String, String>,
    cgroupns_mode: &'static str,
    ipc_mode: String,
    pid_mode: String,
    #[serde(rename = "UTSMode")]
    uts_mode: &'static str,
    userns_mode: &'static str,
    oom_score_adj: i32,
    #[serde(serialize_with = "nil::omitempty_map")]
    sysctls: BTreeMap<String, String>,
    devices: Vec<Device>,
    #[serde(serialize_with = "nil::slice")]
    device_cgroup_rules: Vec<String>,
    blkio_weight: u64,
    blkio_weight_device: Vec<Weight>,
    blkio_device_read_bps: Vec<Rate>,
    blkio_device_write_bps: Vec<Rate>,
    #[serde(rename = "BlkioDeviceReadIOps")]
    blkio_device_read_iops: Vec<Rate>,
    #[serde(rename = "BlkioDeviceWriteIOps")]
    blkio_device_write_iops: Vec<Rate>,
    cpu_period: u64,
    cpu_quota: u64,
    cpuset_mems: String,
    memory_swappiness: Option<u64>,
    oom_kill_disable: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Device {
    path_on_host: String,
    path_in_container: String,
    cgroup_permissions: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Weight {
    path: String,
    weight: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rate {
    path: String,
    rate: u64,
}

impl Isolation {
    pub fn of(spec: &ContainerSpec) -> Self {
        let (asked, limits) = (&spec.isolation, &spec.limits);
        let of = |what| limits.block.iter().filter(move |limit| limit.what == what).cloned();
        let rates = |what| {
            let rate = |BlockLimit { path, value, .. }| Rate { path, rate: value };
            of(what).map(rate).collect()
        };
        let host = |is_host| if is_host { "host" } else { "" };
        let device = |device: &DeviceMapping| Device {
            path_on_host: device.host.clone(),
            path_in_container: device.container.clone(),
            cgroup_permissions: device.access.to_string(),
        };
        Self {
            annotations: asked.annotations.clone(),
            cgroupns_mode: if asked.cgroupns_host { "host" } else { "private" },
            ipc_mode: asked.ipc.to_string(),
            pid_mode: asked.pid.to_string(),
            uts_mode: host(asked.uts_host),
            userns_mode: host(asked.userns_host),
            oom_score_adj: asked.oom_score_adj.unwrap_or(0),
            sysctls: asked.sysctls.clone(),
            devices: asked.devices.iter().map(device).collect(),
            device_cgroup_rules: asked.device_rules.iter().map(ToString::to_string).collect(),
            blkio_weight: limits.blkio_weight.unwrap_or(0),
            blkio_weight_device: of(BlockQuantity::Weight)
                .map(|BlockLimit { path, value, .. }| Weight { path, weight: value })
                .collect(),
            blkio_device_read_bps: rates(BlockQuantity::ReadBps),
            blkio_device_write_bps: rates(BlockQuantity::WriteBps),
            blkio_device_read_iops: rates(BlockQuantity::ReadIops),
            blkio_device_write_iops: rates(BlockQuantity::WriteIops),
            cpu_period: limits.cpu_period.unwrap_or(0),
            cpu_quota: limits.cpu_quota.unwrap_or(0),
            cpuset_mems: limits.cpuset_mems.clone().unwrap_or_default(),
            memory_swappiness: limits.memory_swappiness,
            oom_kill_disable: limits.oom_kill_disable,
        }
    }
}
