//! Telling what happens to a container.

use super::{ContainerState, Error, Result, read_state};
use knarr_core::events::{self, Event, Kind};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;

/// What has happened to a container of this name.
pub(crate) fn event(spec: &ContainerSpec, name: &str, action: impl Into<String>) -> Event {
    Event::new(Kind::Container, action, spec.id.as_str())
        .labels(&spec.labels)
        .with("image", &spec.image.reference)
        .with("name", name)
}

/// Tells of a container whose name may have changed since it was started.
pub(crate) fn tell(root: &Root, spec: &ContainerSpec, action: &str, more: &[(&str, String)]) {
    if let Ok(state) = now(root, &spec.id) {
        let event = event(spec, &state.name, action);
        let event = more.iter().fold(event, |event, (name, value)| event.with(name, value));
        events::tell(root, &[event]);
    }
}

/// A container's state as it is written, without a lock.
pub(crate) fn now(root: &Root, id: &ContainerId) -> Result<ContainerState> {
    read_state(&root.container(id), id)?.ok_or_else(|| Error::Gone { id: id.clone() })
}
