//! What Docker's containers have and these do not, with the values that it has where nobody asked for anything: scripts and
//! templates name them.

use knarr_core::nil;
use serde::Serialize;

/// Of `HostConfig`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Others {
    volume_driver: &'static str,
    console_size: [u32; 2],
    cgroup: &'static str,
    #[serde(serialize_with = "nil::slice")]
    links: Vec<String>,
    #[serde(serialize_with = "nil::omitempty")]
    storage_opt: nil::Map,
    isolation: &'static str,
    cgroup_parent: &'static str,
    cpu_realtime_period: u32,
    cpu_realtime_runtime: u32,
    device_requests: nil::Slice,
    cpu_count: u32,
    cpu_percent: u32,
    #[serde(rename = "IOMaximumIOps")]
    io_maximum_iops: u32,
    #[serde(rename = "IOMaximumBandwidth")]
    io_maximum_bandwidth: u32,
}

impl Others {
    /// `links`: `/other:/own/alias`
    pub fn with(links: Vec<String>) -> Self {
        Self { links, ..Self::default() }
    }
}
