//! How many containers there are, with what limits: `deploy` and `develop`.

use serde_json::Value;

use super::invalid::Invalid;
use super::pairs::Pairs;
use super::record::{Field, Form, record};
use super::scalar::{Bytes, Count, Duration};
use super::service::Hook;
use crate::node::Node;

record! {
    /// `deploy`.
    pub struct Deploy {
        pub mode: String => "mode",
        pub replicas: Option<i64> => "replicas",
        pub labels: Pairs => "labels",
        pub update_config: Option<UpdateConfig> => "update_config",
        pub rollback_config: Option<UpdateConfig> => "rollback_config",
        pub resources: Resources => "resources",
        pub restart_policy: Option<RestartPolicy> => "restart_policy",
        pub placement: Placement => "placement",
        pub endpoint_mode: String => "endpoint_mode",
    }

    /// `deploy.update_config` and `deploy.rollback_config`.
    pub struct UpdateConfig {
        pub parallelism: Option<u64> => "parallelism",
        pub delay: Duration => "delay",
        pub failure_action: String => "failure_action",
        pub monitor: Duration => "monitor",
        pub max_failure_ratio: f32 => "max_failure_ratio",
        pub order: String => "order",
    }

    /// `deploy.resources`.
    pub struct Resources {
        pub limits: Option<Resource> => "limits",
        pub reservations: Option<Resource> => "reservations",
    }

    /// What is limited or reserved.
    pub struct Resource {
        pub cpus: f32 => "cpus",
        pub memory: Bytes => "memory",
        pub pids: i64 => "pids",
        pub devices: Vec<DeviceRequest> => "devices",
        pub generic_resources: Vec<GenericResource> => "generic_resources",
    }

    /// A resource that is only counted.
    pub struct GenericResource {
        pub discrete_resource_spec: Option<DiscreteResource> => "discrete_resource_spec",
    }

    /// `discrete_resource_spec`.
    pub struct DiscreteResource {
        pub kind: String => always "kind",
        pub value: i64 => always "value",
    }

    /// `deploy.restart_policy`.
    pub struct RestartPolicy {
        /// `none`, `on-failure` or `any`.
        pub condition: String => "condition",
        pub delay: Option<Duration> => "delay",
        pub max_attempts: Option<u64> => "max_attempts",
        pub window: Option<Duration> => "window",
    }

    /// `deploy.placement`.
    pub struct Placement {
        pub constraints: Vec<String> => "constraints",
        pub preferences: Vec<PlacementPreference> => "preferences",
        pub max_replicas_per_node: u64 => "max_replicas_per_node",
    }

    /// One of `deploy.placement.preferences`.
    pub struct PlacementPreference {
        pub spread: String => "spread",
    }

    /// `gpus` and `deploy.resources.reservations.devices`.
    pub struct DeviceRequest {
        pub capabilities: Vec<String> => "capabilities",
        pub driver: String => "driver",
        pub count: Count => "count",
        pub device_ids: Vec<String> => "device_ids",
        pub options: Pairs => "options",
    }

    /// `develop`.
    pub struct Develop {
        pub watch: Vec<Trigger> => "watch",
    }

    /// What happens when a file changes.
    pub struct Trigger {
        /// An absolute path.
        pub path: String => always "path",
        /// `sync`, `rebuild`, `restart`, `sync+restart` or `sync+exec`.
        pub action: String => always "action",
        pub target: String => "target",
        pub exec: Hook => "exec",
        pub include: Vec<String> => "include",
        pub ignore: Vec<String> => "ignore",
        pub initial_sync: bool => "initial_sync",
    }

    /// `blkio_config`.
    pub struct BlkioConfig {
        pub weight: u16 => "weight",
        pub weight_device: Vec<WeightDevice> => "weight_device",
        pub device_read_bps: Vec<ThrottleDevice> => "device_read_bps",
        pub device_read_iops: Vec<ThrottleDevice> => "device_read_iops",
        pub device_write_bps: Vec<ThrottleDevice> => "device_write_bps",
        pub device_write_iops: Vec<ThrottleDevice> => "device_write_iops",
    }
}

/// The weight of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightDevice {
    pub path: String,
    pub weight: u16,
}

/// The rate that a device is held to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThrottleDevice {
    pub path: String,
    /// Bytes or operations in a second.
    pub rate: Bytes,
}

fn read_at<T: Field + Default>(node: &Node, key: &str) -> Result<T, Invalid> {
    node.get(key).map_or_else(|| Ok(T::default()), T::read).map_err(|e| e.inside(key))
}

/// Compose writes these two with capitals in JSON.
fn device(form: Form, path: &str, key: &str, value: Value) -> Value {
    let capital = |key: &str| match form {
        Form::Yaml => key.to_owned(),
        Form::Json => format!("{}{}", key[..1].to_uppercase(), &key[1..]),
    };
    Value::Object([(capital("path"), path.into()), (capital(key), value)].into_iter().collect())
}

impl Field for WeightDevice {
    fn read(node: &Node) -> Result<Self, Invalid> {
        Ok(Self { path: read_at(node, "path")?, weight: read_at(node, "weight")? })
    }

    fn write(&self, form: Form) -> Value {
        device(form, &self.path, "weight", self.weight.into())
    }
}

impl Field for ThrottleDevice {
    fn read(node: &Node) -> Result<Self, Invalid> {
        Ok(Self { path: read_at(node, "path")?, rate: read_at(node, "rate")? })
    }

    fn write(&self, form: Form) -> Value {
        device(form, &self.path, "rate", self.rate.write(form))
    }
}
