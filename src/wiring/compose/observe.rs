//! What there is of a project on this machine.

use crate::commands::Context;
use crate::error::Failure;
use knarr_compose::model::Project;
use knarr_compose::observe::{Container, Observed, State, Thing, label};
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::container::list::{self, Filters, ListOptions, Summary};
use knarr_runtime::state::Status;
use knarr_runtime::{net, volume};

/// Everything that carries the project's label, and the networks and volumes under the names that it wants.
pub fn project(
    context: &Context,
    store: &Store,
    name: &str,
    wanted: Option<&Project>,
) -> Result<Observed, Failure> {
    let containers = summaries(store, Some(name))?;
    let networks = wanted.into_iter().flat_map(|p| p.networks.values().map(|n| n.name.as_str()));
    let volumes = wanted.into_iter().flat_map(|p| p.volumes.values().map(|v| v.name.as_str()));
    Ok(Observed {
        containers: containers.iter().map(container).collect(),
        networks: self::networks(&context.root, name, &networks.collect::<Vec<_>>())?,
        volumes: self::volumes(&context.root, name, &volumes.collect::<Vec<_>>())?,
    })
}

/// The containers of one project, or of all, newest first.
pub fn summaries(store: &Store, project: Option<&str>) -> Result<Vec<Summary>, Failure> {
    let filter = match project {
        Some(name) => format!("label={}={name}", label::PROJECT),
        None => format!("label={}", label::PROJECT),
    };
    let options = ListOptions { all: true, ..ListOptions::default() };
    Ok(list::list(store, &Filters::parse(&[filter])?, &options)?.containers)
}

/// A container as plans see it.
pub fn container(summary: &Summary) -> Container {
    Container {
        id: summary.id.to_string(),
        name: summary.name.clone(),
        labels: summary.labels.clone(),
        state: state(summary),
        networks: summary.network.split(',').map(str::to_owned).collect(),
        created: summary.created,
        started: summary.started,
    }
}

fn state(summary: &Summary) -> State {
    match summary.status {
        Status::Running => State::Running,
        Status::Paused => State::Paused,
        Status::Restarting => State::Restarting,
        Status::Created => State::Created,
        _ => State::Exited(summary.exit.as_ref().map_or(0, |exit| exit.code)),
    }
}

fn networks(root: &Root, project: &str, names: &[&str]) -> Result<Vec<Thing>, Failure> {
    let all = net::list(root)?.into_iter();
    let things = all.map(|network| Thing { name: network.name, labels: network.labels });
    Ok(things.filter(|thing| is_meant(thing, project, names)).collect())
}

fn volumes(root: &Root, project: &str, names: &[&str]) -> Result<Vec<Thing>, Failure> {
    let all = volume::list(root)?.into_iter();
    let things = all.map(|volume| Thing { name: volume.name, labels: volume.labels });
    Ok(things.filter(|thing| is_meant(thing, project, names)).collect())
}

fn is_meant(thing: &Thing, project: &str, names: &[&str]) -> bool {
    thing.project() == Some(project) || names.contains(&thing.name.as_str())
}
