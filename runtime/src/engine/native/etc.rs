//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container.

use super::error::Error;
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Name below [`knarr_core::root::ContainerPaths::etc`], and where it is mounted.
pub const FILES: &[(&str, &str)] =
    &[("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")];

/// Docker's `/etc/hosts`.
const LOCALHOST: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// The container's host name: the host's own on the host's network, as Docker.
pub fn hostname(spec: &ContainerSpec) -> String {
    match (&spec.hostname, &spec.network) {
        (Some(name), _) => name.clone(),
        (None, NetworkMode::Host) => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        (None, _) => spec.id.short().to_owned(),
    }
}

/// Writes the container's files, and returns the folder. What exists stays: the container may have changed it.
pub fn write(root: &Root, spec: &ContainerSpec) -> Result<PathBuf, Error> {
    let directory = root.container(&spec.id).etc();
    if !directory.join("resolv.conf").exists() {
        fsx::create_dir_all(&directory)?;
        fsx::write(&directory.join("hosts"), hosts(spec)?)?;
        fsx::write(&directory.join("hostname"), format!("{}\n", hostname(spec)))?;
        // the last one: the mark that all are there
        let host = fsx::read_optional(Path::new("/etc/resolv.conf"))?;
        fsx::write(&directory.join("resolv.conf"), host.unwrap_or_default())?;
    }
    Ok(directory)
}

fn hosts(spec: &ContainerSpec) -> Result<String, Error> {
    let mut hosts = match spec.network {
        NetworkMode::Host => {
            let host = fsx::read_optional(Path::new("/etc/hosts"))?;
            host.map_or(LOCALHOST.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
        }
        _ => LOCALHOST.to_owned(),
    };
    if !hosts.ends_with('\n') && !hosts.is_empty() {
        hosts.push('\n');
    }
    for (name, address) in &spec.extra_hosts {
        // on the host's network the host is this machine
        let address = if address == "host-gateway" { "127.0.0.1" } else { address };
        let _ = writeln!(hosts, "{address}\t{name}");
    }
    Ok(hosts)
}
