//! `ps`: what containers there are.

mod filter;
mod text;

pub use filter::{Filters, InvalidFilter};
pub use text::{host_address, human_duration, ports as ports_text};

use super::{Error, Result};
use crate::net::Members;
use crate::state::{self, Container, Damaged, Exit, HealthStatus, Status};
use crate::{container, reconcile};
use jiff::Timestamp;
use knarr_core::id::ContainerId;
use knarr_core::image::{Digest, Platform};
use knarr_core::root::Root;
use knarr_core::spec::{EngineKind, MountKind, NetworkMode, Port, Protocol};
use knarr_core::store::{Store, Usage};
use std::collections::BTreeMap;

/// Which containers to list besides those that the filters choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// Only the newest ones, whether they run or not.
    pub last: Option<usize>,
    /// Measure their writable layers.
    pub size: bool,
}

/// The containers that were asked for, newest first, and those that cannot be read.
#[derive(Debug)]
pub struct Listing {
    pub containers: Vec<Summary>,
    pub damaged: Vec<Damaged>,
}

/// What a listing shows of a container.
#[derive(Debug, Clone)]
pub struct Summary {
    pub id: ContainerId,
    pub name: String,
    /// As the user wrote it.
    pub image: String,
    pub image_id: Digest,
    pub platform: Platform,
    pub engine: EngineKind,
    pub command: Vec<String>,
    pub created: Timestamp,
    pub status: Status,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub exit: Option<Exit>,
    /// Of a container with a health check that was started.
    pub health: Option<HealthStatus>,
    pub ports: Vec<Port>,
    pub exposed: Vec<(u16, Protocol)>,
    pub labels: BTreeMap<String, String>,
    /// Names of volumes, paths of the host.
    pub mounts: Vec<String>,
    pub network: String,
    pub size: Option<Size>,
    /// It was made to be run, which has not begun yet.
    pub for_run: bool,
}

/// Bytes of a container's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// What it changed.
    pub writable: u64,
    /// That and its image.
    pub total: u64,
}

impl Summary {
    fn of(root: &Root, container: &Container, members: &Members) -> Self {
        let Container { spec, state } = container;
        let mount = |kind: &MountKind| match kind {
            MountKind::Bind { source, .. } => source.display().to_string(),
            MountKind::Volume(volume) => volume.name.clone(),
            MountKind::Tmpfs { .. } => String::new(),
        };
        Self {
            id: spec.id.clone(),
            name: state.name.clone(),
            image: spec.image.reference.clone(),
            image_id: spec.image.id.clone(),
            platform: spec.image.platform.clone(),
            engine: spec.engine,
            command: spec.process.args(),
            created: spec.created,
            status: state.status,
            started: state.started,
            finished: state.finished,
            exit: state.exit.clone(),
            health: state::health(root, container).map(|health| health.status),
            ports: if state.is_alive() { state.ports.clone() } else { Vec::new() },
            exposed: if state.is_alive() { spec.exposed.clone() } else { Vec::new() },
            labels: spec.labels.clone(),
            mounts: spec.mounts.iter().map(|m| mount(&m.kind)).filter(|m| !m.is_empty()).collect(),
            network: networks(container, members),
            size: None,
            for_run: state.status == Status::Created && state.for_run,
        }
    }

    /// Docker's words: `Up 5 minutes`, `Exited (0) 3 hours ago`.
    pub fn status_text(&self, now: Timestamp) -> String {
        text::status(self, now)
    }
}

/// What `ps` shows: the networks that a container is on by now.
fn networks(container: &Container, members: &Members) -> String {
    match &container.spec.network {
        NetworkMode::Networks(_) => {
            let names = members.of(container.id()).map(|network| network.name.as_str());
            names.collect::<Vec<_>>().join(",")
        }
        other => network_name(other),
    }
}

pub(crate) fn network_name(network: &NetworkMode) -> String {
    match network {
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Networks(all) => {
            all.iter().map(|attachment| &*attachment.network).collect::<Vec<_>>().join(",")
        }
    }
}

/// Lists containers, after putting right what dead monitors left.
pub fn list(store: &Store, filters: &Filters, options: &ListOptions) -> Result<Listing> {
    let root = store.root();
    let (mut containers, damaged) = all(root)?;
    containers.sort_by(|a, b| b.spec.created.cmp(&a.spec.created).then_with(|| a.id().cmp(b.id())));
    let members = Members::read(root)?;
    let chosen = filters.choose(store, &containers, &members)?;
    let everything = options.all || options.last.is_some() || filters.is_about_status();
    let mut summaries = Vec::new();
    for (container, chosen) in containers.iter().zip(chosen) {
        if !chosen || !(everything || is_shown(container)) {
            continue;
        }
        if options.last.is_some_and(|last| summaries.len() >= last) {
            break;
        }
        let mut summary = Summary::of(root, container, &members);
        if options.size {
            summary.size = Some(size(store, container)?);
        }
        summaries.push(summary);
    }
    Ok(Listing { containers: summaries, damaged })
}

/// Without `--all`.
fn is_shown(container: &Container) -> bool {
    container.state.is_alive() || container.state.status == Status::Restarting
}

/// Every container as it truly is, in no order.
fn all(root: &Root) -> Result<(Vec<Container>, Vec<Damaged>)> {
    match state::sweep(root) {
        Err(state::Error::File(e)) if e.is_read_only() => {}
        other => other?,
    }
    let (mut containers, mut damaged) = (Vec::new(), Vec::new());
    for entry in state::all(root)? {
        match entry {
            Ok(container) if reconcile::is_suspect(root, &container) => {
                // what cannot be cleared away now is left for the next command; a listing does not fail for it
                match reconcile::container(root, container.id()) {
                    Ok(found) => containers.extend(found),
                    Err(_) => containers.push(container),
                }
            }
            Ok(container) => containers.push(container),
            Err(unreadable) => damaged.push(unreadable),
        }
    }
    Ok((containers, damaged))
}

/// What containers use of the store, for its collector. A damaged record stops it: nobody knows what that uses.
pub fn usages(root: &Root) -> Result<Vec<Usage>> {
    let mut usages = Vec::new();
    for entry in state::all(root)? {
        let container = entry.map_err(|damaged| Error::State(damaged.error))?;
        usages.push(Usage {
            container: container.state.name.clone(),
            manifest: container.spec.image.manifest.clone(),
            layers: container.spec.image.layers.clone(),
            running: container.state.is_alive(),
        });
    }
    Ok(usages)
}

/// Measures a container's files.
pub fn size(store: &Store, container: &Container) -> Result<Size> {
    let paths = store.root().container(container.id());
    let writable = container::disk::usage(&paths.upper())?;
    let mut image = 0;
    for chain in &container.spec.image.layers {
        image += store.layer_info(chain)?.map_or(0, |layer| layer.size);
    }
    Ok(Size { writable, total: writable + image })
}
