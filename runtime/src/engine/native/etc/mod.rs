//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container.

mod hosts;
mod resolver;

use super::error::Error;
use crate::engine::names::hostname;
use crate::net::{Attached, Endpoint};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::path::{Path, PathBuf};

/// Name below [`knarr_core::root::ContainerPaths::etc`], and where it is mounted.
pub const FILES: &[(&str, &str)] =
    &[("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")];

/// The last one that is written: where it is, all are.
const LAST: &str = "hostname";

/// Where a container's file is. Whoever shares a network shares what is said about it.
pub fn path(root: &Root, spec: &ContainerSpec, name: &str) -> PathBuf {
    if let NetworkMode::Container(other) = &spec.network {
        let theirs = root.container(other).etc();
        if name != "hostname" && theirs.join(LAST).exists() {
            return theirs.join(name);
        }
    }
    root.container(&spec.id).etc().join(name)
}

/// Writes the container's files. What exists stays: the container may have changed it.
pub fn write(root: &Root, spec: &ContainerSpec, network: &Attached) -> Result<(), Error> {
    let directory = root.container(&spec.id).etc();
    if directory.join(LAST).exists() {
        return Ok(());
    }
    fsx::create_dir_all(&directory)?;
    let is_own = |name: &str| path(root, spec, name).starts_with(&directory);
    if is_own("hosts") {
        fsx::write(&directory.join("hosts"), hosts::text(spec, &network.endpoints)?)?;
    }
    if is_own("resolv.conf") {
        let host = fsx::read_optional(Path::new("/etc/resolv.conf"))?.unwrap_or_default();
        let own = matches!(spec.network, NetworkMode::Networks(_));
        let text = resolver::text(&String::from_utf8_lossy(&host), &spec.dns, own);
        fsx::write(&directory.join("resolv.conf"), text)?;
    }
    fsx::write(&directory.join(LAST), format!("{}\n", hostname(spec)))?;
    Ok(())
}

/// Brings `/etc/hosts` of a container that runs up to date, whose networks have changed. Only lines that were written here are
/// touched: others are the container's.
pub fn follow(
    root: &Root,
    spec: &ContainerSpec,
    before: &[(NetworkSpec, Endpoint)],
    now: &[(NetworkSpec, Endpoint)],
) -> Result<(), Error> {
    let (gone, new) = (hosts::own_lines(spec, before), hosts::own_lines(spec, now));
    if gone == new {
        return Ok(());
    }
    Ok(hosts::edit(&root.container(&spec.id).etc().join("hosts"), &gone, &new)?)
}
