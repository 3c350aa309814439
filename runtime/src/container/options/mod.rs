//! From an image's configuration and what the user asked for to the record of a container, by Docker's rules.
//!
//! Nothing here touches the host, except that env files and label files are read.

mod effects;
mod environment;
mod health;
mod ids;
mod isolation;
mod mount;
mod mounts;
mod network;
mod ports;

pub use effects::{check_network, without_effect};
pub use environment::{
    EnvironmentError, merge as merge_environment, resolve as resolve_environment,
};
pub use isolation::{InvalidIsolation, IsolationOptions};
pub use mount::parse_mount;
pub use mounts::{InvalidMount, parse_tmpfs, parse_volume, parse_volumes_from};
pub use network::{InvalidNetwork, NetworkOptions, NetworkWish, parse_outbound};

use crate::state;
use crate::sys::signal::{InvalidSignal, Signal};
use crate::volume;
use health::healthcheck;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::image::config::{ExecutionConfig, Healthcheck, ImageConfig};
use knarr_core::spec::health::InvalidHealthcheck;
use knarr_core::spec::network::{extra_host, is_host_name};
use knarr_core::spec::port::InvalidPort;
use knarr_core::spec::wasm::InvalidInstanceRequests;
use knarr_core::spec::{
    Asked, ContainerSpec, Dns, InstanceRequests, Isolation, Limits, Link, LogConfig, Mount,
    NetworkMode, OnUnhealthy, Origin, Outbound, Port, Process, RestartPolicy, Security, SpecImage,
    WasmOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Mount(#[from] InvalidMount),
    #[error(transparent)]
    Network(#[from] InvalidNetwork),
    #[error(transparent)]
    Isolation(#[from] InvalidIsolation),
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error(transparent)]
    Port(#[from] InvalidPort),
    #[error(transparent)]
    Signal(#[from] InvalidSignal),
    #[error(transparent)]
    Volume(#[from] volume::Error),
    #[error(transparent)]
    Name(#[from] state::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("{target} is mounted twice")]
    MountedTwice { target: String },
    #[error("the working directory {path:?} is not an absolute path")]
    RelativeWorkdir { path: String },
    #[error("{text:?} is not a host entry")]
    ExtraHost { text: String },
    #[error("{name:?} is not a valid host name")]
    Hostname { name: String },
    #[error("{value:?} is not a value of {option}")]
    Dns { option: &'static str, value: String },
    #[error("{text:?} is not a label")]
    Label { text: String },
    #[error("the label {label} is wrong", label = InstanceRequests::LABEL)]
    InstanceRequests(#[source] InvalidInstanceRequests),
    #[error("the image names no command, and none was given")]
    NoCommand,
    #[error(
        "a container cannot be both removed (--rm) and started again (--restart {policy}) when it ends"
    )]
    RemoveAndRestart { policy: RestartPolicy },
    #[error(
        "a container cannot be both removed (--rm) and started again (--health-on-failure restart) when it ends"
    )]
    RemoveAndHeal,
    #[error(transparent)]
    Healthcheck(#[from] InvalidHealthcheck),
    #[error("nobody would tell that the container is not healthy: it has no health check")]
    NoHealthcheck,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Mount(e) => e.hint(),
            Self::Network(e) => e.hint(),
            Self::Isolation(e) => e.hint(),
            Self::Environment(e) => e.hint(),
            Self::Port(e) => e.hint(),
            Self::Signal(e) => e.hint(),
            Self::Volume(e) => e.hint(),
            Self::Name(e) => e.hint(),
            Self::Healthcheck(e) => e.hint(),
            Self::NoHealthcheck => {
                Some("add --health-cmd, or leave --health-on-failure out".into())
            }
            Self::RemoveAndRestart { .. } | Self::RemoveAndHeal => {
                Some("leave one of the two out".into())
            }
            Self::MountedTwice { .. } => Some("leave one of the two out".into()),
            Self::RelativeWorkdir { path } => Some(format!("write /{path}")),
            Self::ExtraHost { .. } => Some("write NAME:ADDRESS, for example db:10.0.0.7".into()),
            Self::Dns { option: "--dns-search", .. } => {
                Some("write a domain, for example example.com, or . for none".into())
            }
            Self::Dns { .. } => Some("write one of resolv.conf(5), for example ndots:2".into()),
            Self::Hostname { .. } => {
                Some("letters, digits, '-' and '_' between dots, at most 64 of them in all".into())
            }
            Self::Label { .. } => Some("write NAME=VALUE or NAME".into()),
            Self::InstanceRequests(_) => {
                Some("give --wasm-instance-requests, which goes before the label".into())
            }
            Self::NoCommand => Some("append a command: knarr run IMAGE COMMAND".into()),
            _ => None,
        }
    }
}

/// The chosen variant of an image.
#[derive(Debug, Clone, Copy)]
pub struct ImageOptions<'a> {
    pub image: &'a SpecImage,
    pub config: &'a ImageConfig,
}

/// What the user asked for; the default asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    pub name: Option<String>,
    /// What follows the image: replaces the image's `CMD`.
    pub command: Vec<String>,
    /// Replaces the image's `ENTRYPOINT` and drops its `CMD`; an empty list leaves no entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, or `NAME` for this process's own value (taken away where it has none).
    pub env: Vec<String>,
    pub env_files: Vec<PathBuf>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub group_add: Vec<String>,
    pub tty: bool,
    pub interactive: bool,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    /// `NAME=value` or `NAME`.
    pub labels: Vec<String>,
    pub label_files: Vec<PathBuf>,
    /// See [`parse_volume`], [`parse_mount`], [`parse_tmpfs`].
    pub mounts: Vec<Mount>,
    /// Mounts of other containers (`--volumes-from`); those of `mounts`, and later ones, take their place.
    pub inherited: Vec<Mount>,
    pub read_only: bool,
    pub limits: Limits,
    pub security: Security,
    pub isolation: Isolation,
    pub network: Option<NetworkMode>,
    pub links: Vec<Link>,
    pub dns: Dns,
    pub outbound: Option<Vec<Outbound>>,
    pub ports: Vec<Port>,
    /// Every exposed port gets a free one of the host, unless it is published as another.
    pub publish_all: bool,
    /// `PORT[-PORT][/PROTOCOL]`
    pub expose: Vec<String>,
    /// `NAME:ADDRESS`
    pub extra_hosts: Vec<String>,
    pub init: bool,
    pub auto_remove: bool,
    pub restart: RestartPolicy,
    pub log: Option<LogConfig>,
    pub stop_signal: Option<String>,
    pub stop_timeout: Option<u32>,
    pub healthcheck: Option<Healthcheck>,
    pub on_unhealthy: OnUnhealthy,
    pub wasm: WasmOptions,
    /// How some of it was written.
    pub asked: Asked,
}

/// A container that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContainer {
    /// `None`: one is made up.
    pub name: Option<String>,
    pub spec: ContainerSpec,
    /// This process is about to start it. One that is to be removed at its end is then removed as well if this process
    /// ends before.
    pub for_run: bool,
}

/// Puts an image's configuration and the user's options together.
pub fn resolve(image: ImageOptions, options: &RunOptions) -> Result<NewContainer, Error> {
    let config = &image.config.config;
    // Docker shows names with a slash before them
    let name = options.name.as_deref().map(|name| name.strip_prefix('/').unwrap_or(name));
    name.map_or(Ok(()), state::validate)?;
    if options.auto_remove && options.restart != RestartPolicy::No {
        return Err(Error::RemoveAndRestart { policy: options.restart });
    }
    if options.auto_remove && options.on_unhealthy == OnUnhealthy::Restart {
        return Err(Error::RemoveAndHeal);
    }
    if let Some(name) = &options.hostname {
        check_hostname(name)?;
    }
    if let Some(name) = &options.domainname {
        check_hostname(name)?;
    }
    if let Some((option, value)) = options.dns.invalid() {
        return Err(Error::Dns { option, value: value.to_owned() });
    }
    let labels = labels(config, options)?;
    let exposed = ports::exposed(config, options)?;
    let mut ports = options.ports.clone();
    if options.publish_all {
        ports::publish_all(&mut ports, &exposed);
    }
    Ok(NewContainer {
        for_run: false,
        name: name.map(str::to_owned),
        spec: ContainerSpec {
            hostname: options.hostname.clone(),
            wasm: wasm(image.image, &labels, options)?,
            labels,
            domainname: options.domainname.clone(),
            mounts: all_mounts(config, options)?,
            read_only_rootfs: options.read_only,
            limits: options.limits.clone(),
            security: options.security.clone(),
            isolation: options.isolation.clone(),
            network: options.network.clone().unwrap_or(NetworkMode::Host),
            links: options.links.clone(),
            dns: options.dns.clone(),
            outbound: options.outbound.clone(),
            ports,
            exposed,
            extra_hosts: extra_hosts(options)?,
            init: options.init,
            auto_remove: options.auto_remove,
            restart: options.restart,
            log: options.log.clone().unwrap_or_default(),
            healthcheck: healthcheck(config, options)?,
            on_unhealthy: options.on_unhealthy,
            shell: config.shell.clone().unwrap_or_default(),
            asked: Asked { publish_all: options.publish_all, ..options.asked.clone() },
            ..ContainerSpec::of(image.image.clone(), process(config, options)?)
        },
    })
}

/// Docker's table of ENTRYPOINT and CMD: an entrypoint that is given drops the image's command as well; a command that
/// is given replaces the image's.
fn process(config: &ExecutionConfig, options: &RunOptions) -> Result<Process, Error> {
    let entrypoint = match &options.entrypoint {
        Some(words) => words.clone(),
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    let cmd = match (&options.command, &options.entrypoint) {
        (command, _) if !command.is_empty() => command.clone(),
        (_, Some(_)) => Vec::new(),
        (_, None) => config.cmd.clone().unwrap_or_default(),
    };
    if entrypoint.is_empty() && cmd.is_empty() {
        return Err(Error::NoCommand);
    }
    let stop_signal = options.stop_signal.as_ref().or(config.stop_signal.as_ref());
    if let Some(signal) = stop_signal {
        signal.parse::<Signal>()?;
    }
    Ok(Process {
        entrypoint,
        cmd,
        env: environment::resolve(&config.env, &options.env_files, &options.env)?,
        cwd: workdir(config, options)?,
        user: options.user.clone().unwrap_or_else(|| config.user.clone()),
        group_add: options.group_add.clone(),
        tty: options.tty,
        open_stdin: options.interactive,
        stop_signal: stop_signal.cloned(),
        stop_timeout: options.stop_timeout,
    })
}

fn workdir(config: &ExecutionConfig, options: &RunOptions) -> Result<String, Error> {
    match options.workdir.as_deref() {
        Some(path) if !path.starts_with('/') => {
            Err(Error::RelativeWorkdir { path: path.to_owned() })
        }
        Some(path) => Ok(path.to_owned()),
        // Docker takes an image's relative one from the root
        None if config.working_dir.starts_with('/') || config.working_dir.is_empty() => {
            Ok(config.working_dir.clone())
        }
        None => Ok(format!("/{}", config.working_dir)),
    }
}

fn labels(
    config: &ExecutionConfig,
    options: &RunOptions,
) -> Result<BTreeMap<String, String>, Error> {
    let mut labels = config.labels.clone();
    let mut add = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(Error::Label { text: text.to_owned() });
        }
        labels.insert(name.to_owned(), value.to_owned());
        Ok(())
    };
    for path in &options.label_files {
        // as in files of variables, blanks at the end are a part of the value
        let text = fsx::read_to_string(path)?;
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                add(if line.contains('=') { line } else { line.trim_end() })?;
            }
        }
    }
    options.labels.iter().try_for_each(|text| add(text))?;
    Ok(labels)
}

/// What the user wants goes before what the image's label says.
fn wasm(
    image: &SpecImage,
    labels: &BTreeMap<String, String>,
    options: &RunOptions,
) -> Result<WasmOptions, Error> {
    let label = labels.get(InstanceRequests::LABEL).filter(|_| image.platform.is_wasm());
    let instance_requests = match (options.wasm.instance_requests, label) {
        (None, Some(text)) => Some(text.parse().map_err(Error::InstanceRequests)?),
        (asked, _) => asked,
    };
    Ok(WasmOptions { instance_requests })
}

/// The user's mounts, and a new anonymous volume for each `VOLUME` of the image where nothing else is mounted;
/// outer ones first.
fn all_mounts(config: &ExecutionConfig, options: &RunOptions) -> Result<Vec<Mount>, Error> {
    let mut mounts: Vec<Mount> = Vec::new();
    let mut targets = BTreeSet::new();
    for mount in &options.mounts {
        let target = mounts::clean(&mount.target);
        if let Some(volume) = mount.volume() {
            volume::validate(&volume.name)?;
            volume::Backing::parse(&volume.options).map_err(volume::Error::from)?;
        }
        if !targets.insert(target.clone()) {
            return Err(Error::MountedTwice { target });
        }
        mounts.push(Mount { target, ..mount.clone() });
    }
    let others = options.inherited.iter().rev();
    mounts.extend(others.filter(|mount| targets.insert(mount.target.clone())).cloned());
    for target in &config.volumes {
        let target = mounts::clean(&format!("/{target}"));
        if target != "/" && targets.insert(target.clone()) {
            let kind = mounts::anonymous(false);
            let (read_only, ownership, origin) = (false, None, Origin::Image);
            mounts.push(Mount { kind, target, read_only, ownership, origin });
        }
    }
    mounts.sort_by_key(|m| m.target.matches('/').count());
    Ok(mounts)
}

fn extra_hosts(options: &RunOptions) -> Result<Vec<(String, String)>, Error> {
    let parse =
        |text: &String| extra_host(text).ok_or_else(|| Error::ExtraHost { text: text.clone() });
    options.extra_hosts.iter().map(parse).collect()
}

/// RFC 1123, with underscores as Docker allows them; at most 64 bytes (Linux).
fn check_hostname(name: &str) -> Result<(), Error> {
    let label = |l: &str| !l.starts_with('-') && !l.ends_with('-') && l.is_ascii();
    match name.len() <= 64 && is_host_name(name) && name.split('.').all(label) {
        true => Ok(()),
        false => Err(Error::Hostname { name: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
