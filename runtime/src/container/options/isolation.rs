//! Options about namespaces, devices and settings of the kernel.

use crate::container::{Result, find};
use knarr_core::hint::Hint;
use knarr_core::spec::isolation::{DeviceMapping, DeviceRule};
use knarr_core::spec::{Ipc, Isolation, Sharing};
use knarr_core::store::Store;
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
pub enum InvalidIsolation {
    #[error("{value:?} is not a value of {option}")]
    Value { option: &'static str, value: String, hint: &'static str },
}

impl Hint for InvalidIsolation {
    fn hint(&self) -> Option<String> {
        let Self::Value { hint, .. } = self;
        Some((*hint).to_owned())
    }
}

/// As written; `None` is the default.
#[derive(Debug, Clone, Default)]
pub struct IsolationOptions {
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub uts: Option<String>,
    pub userns: Option<String>,
    pub cgroupns: Option<String>,
    /// `NAME=VALUE`
    pub sysctls: Vec<String>,
    pub devices: Vec<String>,
    pub device_rules: Vec<String>,
    pub oom_score_adj: Option<i32>,
    /// `NAME=VALUE`
    pub annotations: Vec<String>,
}

impl IsolationOptions {
    /// Understands them. Containers that are named are looked up in `store`, and in no other one.
    pub fn resolve(&self, store: &Store) -> Result<Isolation> {
        let invalid = |option, value: &str, hint| {
            let value = value.to_owned();
            super::Error::from(InvalidIsolation::Value { option, value, hint })
        };
        let other = |text: &str| {
            let name = text.strip_prefix("container:").filter(|name| !name.is_empty());
            name.map(|name| find(store, name)).transpose()
        };
        let switch = |option, value: &Option<String>, private: &[&str], hint| match value.as_deref()
        {
            Some("host") => Ok(true),
            None | Some("") => Ok(false),
            Some(value) if private.contains(&value) => Ok(false),
            Some(value) => Err(invalid(option, value, hint)),
        };
        let pid = match self.pid.as_deref().unwrap_or_default() {
            "" | "private" => Sharing::Own,
            "host" => Sharing::Host,
            text => Sharing::Container(other(text)?.ok_or_else(|| {
                invalid(
                    "--pid",
                    text,
                    "write host, or container:NAME with a container's name or id",
                )
            })?),
        };
        let ipc = match self.ipc.as_deref().unwrap_or_default() {
            "" | "private" => Ipc::Private,
            "shareable" => Ipc::Shareable,
            "none" => Ipc::None,
            "host" => Ipc::Host,
            text => Ipc::Container(other(text)?.ok_or_else(|| {
                invalid("--ipc", text, "write private, shareable, none, host, or container:NAME")
            })?),
        };
        let mut sysctls = BTreeMap::new();
        for text in &self.sysctls {
            let (name, value) =
                text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                    invalid("--sysctl", text, "write NAME=VALUE: net.core.somaxconn=1024")
                })?;
            sysctls.insert(name.trim().to_owned(), value.to_owned());
        }
        let mut annotations = BTreeMap::new();
        for text in &self.annotations {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            if name.is_empty() {
                return Err(invalid("--annotation", text, "write NAME=VALUE").into());
            }
            annotations.insert(name.to_owned(), value.to_owned());
        }
        let device = |text: &String| {
            DeviceMapping::parse(text).ok_or_else(|| {
                invalid("--device", text, "write HOST[:CONTAINER[:rwm]], for example /dev/fuse")
            })
        };
        let rule = |text: &String| {
            DeviceRule::parse(text).ok_or_else(|| {
                let hint = "write TYPE MAJOR:MINOR ACCESS, for example 'c 10:229 rwm' or 'b *:* r'";
                invalid("--device-cgroup-rule", text, hint)
            })
        };
        Ok(Isolation {
            pid,
            ipc,
            uts_host: switch("--uts", &self.uts, &["private"], "write host, or leave it out")?,
            userns_host: switch("--userns", &self.userns, &[], "write host, or leave it out")?,
            cgroupns_host: switch(
                "--cgroupns",
                &self.cgroupns,
                &["private"],
                "write host or private",
            )?,
            sysctls,
            devices: self.devices.iter().map(device).collect::<Result<_, _>>()?,
            device_rules: self.device_rules.iter().map(rule).collect::<Result<_, _>>()?,
            oom_score_adj: self.oom_score_adj,
            annotations,
        })
    }
}
