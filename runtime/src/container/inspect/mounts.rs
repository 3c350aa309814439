//! The parts of the document about mounts.

use super::document::Empty;
use crate::volume;
use knarr_core::root::Root;
use knarr_core::spec::{Mount, MountKind, Origin, Submounts, VolumeMount};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountPoint {
    #[serde(rename = "Type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub source: String,
    pub destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<&'static str>,
    pub mode: String,
    #[serde(rename = "RW")]
    pub writable: bool,
    pub propagation: String,
}

/// A mount in the words of `--mount`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AskedMount {
    #[serde(rename = "Type")]
    pub kind: &'static str,
    pub source: String,
    pub target: String,
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BindOptions {
    pub propagation: String,
    pub non_recursive: bool,
    pub create_mountpoint: bool,
    pub read_only_non_recursive: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeOptions {
    pub no_copy: bool,
    pub labels: BTreeMap<String, String>,
    pub subpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DriverConfig {
    pub name: &'static str,
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TmpfsOptions {
    pub size_bytes: u64,
    pub mode: u32,
    /// Names and values; those without a value are alone.
    pub options: Vec<Vec<String>>,
}

/// `HostConfig.Mounts`
pub(super) fn asked(mount: &Mount) -> Option<AskedMount> {
    if mount.origin != Origin::Long {
        return None;
    }
    let (mut bind_options, mut volume_options, mut tmpfs_options) = (None, None, None);
    let (kind, source) = match &mount.kind {
        MountKind::Bind { source, create, propagation, submounts } => {
            bind_options = Some(BindOptions {
                propagation: propagation.clone().unwrap_or_default(),
                non_recursive: *submounts == Submounts::Leave,
                create_mountpoint: *create,
                read_only_non_recursive: *submounts == Submounts::Writable,
            });
            ("bind", source.display().to_string())
        }
        MountKind::Volume(volume) => {
            volume_options = Some(VolumeOptions {
                no_copy: volume.no_copy,
                labels: volume.labels.clone(),
                subpath: volume.subpath.clone().unwrap_or_default(),
                driver_config: (!volume.options.is_empty())
                    .then(|| DriverConfig { name: "local", options: volume.options.clone() }),
            });
            ("volume", if volume.anonymous { String::new() } else { volume.name.clone() })
        }
        MountKind::Tmpfs { size, mode, options } => {
            let words = options.iter().map(|word| word.splitn(2, '=').map(str::to_owned));
            tmpfs_options = Some(TmpfsOptions {
                size_bytes: size.unwrap_or(0),
                mode: mode.unwrap_or(0),
                options: words.map(Iterator::collect).collect(),
            });
            ("tmpfs", String::new())
        }
    };
    let (target, read_only) = (mount.target.clone(), mount.read_only);
    Some(AskedMount {
        kind,
        source,
        target,
        read_only,
        bind_options,
        volume_options,
        tmpfs_options,
    })
}

/// `HostConfig.Binds`
pub(super) fn bind(mount: &Mount) -> Option<String> {
    let source = match &mount.kind {
        MountKind::Bind { source, .. } => source.display().to_string(),
        MountKind::Volume(volume) if !volume.anonymous => volume.name.clone(),
        _ => return None,
    };
    let options = if mount.read_only { ":ro" } else { "" };
    mount.origin.is_short().then(|| format!("{source}:{}{options}", mount.target))
}

/// `HostConfig.Tmpfs`
pub(super) fn tmpfs(mount: &Mount) -> Option<(String, String)> {
    let MountKind::Tmpfs { size, mode, options } = &mount.kind else { return None };
    let mut words = options.clone();
    words.extend(size.map(|size| format!("size={size}")));
    words.extend(mode.map(|mode| format!("mode={mode:o}")));
    mount.origin.is_short().then(|| (mount.target.clone(), words.join(",")))
}

/// `Config.Volumes`
pub(super) fn anonymous(mount: &Mount) -> Option<(String, Empty)> {
    let is_own = matches!(mount.origin, Origin::Short | Origin::Image);
    let volume = mount.volume().filter(|volume| volume.anonymous && is_own);
    volume.map(|_| (mount.target.clone(), Empty {}))
}

/// `Mounts`
pub(super) fn point(root: &Root, mount: &Mount) -> MountPoint {
    let (kind, name, source, propagation) = match &mount.kind {
        MountKind::Bind { source, propagation, .. } => (
            "bind",
            None,
            source.display().to_string(),
            propagation.clone().unwrap_or_else(|| "rprivate".into()),
        ),
        MountKind::Volume(VolumeMount { name, .. }) => {
            // the name was checked when the container was made
            let source = volume::data(root, name).map(|p| p.display().to_string());
            ("volume", Some(name.clone()), source.unwrap_or_default(), String::new())
        }
        MountKind::Tmpfs { .. } => ("tmpfs", None, String::new(), String::new()),
    };
    let is_long = mount.origin == Origin::Long;
    MountPoint {
        kind,
        driver: name.is_some().then_some("local"),
        name,
        source,
        destination: mount.target.clone(),
        mode: if mount.read_only && !is_long { "ro".into() } else { String::new() },
        writable: !mount.read_only,
        propagation,
    }
}
