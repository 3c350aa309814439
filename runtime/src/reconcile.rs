//! Who owns a container, and putting right what a monitor left that died.
//!
//! A monitor makes the container's run folder before anything else, holds the folder's lock for its whole life, which
//! the kernel releases however the monitor ends, and removes it after everything else. So no folder means no monitor and
//! nothing to clear away; a folder whose lock can be taken is what a dead monitor left. Both are only ever done under the
//! state's lock, so that a busy folder always means a monitor.
//!
//! A container of `run --rm` is its command's from its creation on, which holds a lock of its own until a monitor has it.
//!
//! What a monitor mounts is mounted in its own namespace and dies with it, and the kernel kills the guest when its
//! monitor dies; left are cgroups, sockets, and records.

use crate::engine::{cgroup, native};
use crate::state::{self, Container, Exit, Locked, Status};
use crate::{net, volume};
use knarr_core::events;
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, EngineKind};
use knarr_core::sys;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("cannot clear away what is left of container {}", id.short())]
    Engine { id: ContainerId, source: native::Error },
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error(transparent)]
    Volume(#[from] volume::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::State(e) => e.hint(),
            Self::Engine { source, .. } => source.hint(),
            Self::Net(e) => e.hint(),
            Self::Volume(e) => e.hint(),
            Self::File(_) => None,
        }
    }
}

/// What Docker records for a container that was killed behind its back.
const KILLED: u8 = 137;

/// A container without a monitor, held so that none can start.
#[derive(Debug)]
pub struct Unowned {
    pub container: Container,
    pub state: Locked,
}

/// Takes a container that no monitor owns, and puts right what a dead one left. `None` if a monitor owns it.
///
/// A container that was to be removed when its monitor died is removed now: [`state::Error::Gone`].
pub fn take(root: &Root, id: &ContainerId) -> Result<Option<Unowned>, Error> {
    let state = Locked::take(root, id)?;
    let Some(left) = left_behind(root, id)? else { return Ok(None) };
    let container = Container { spec: state::load_spec(root, id)?, state: state.state().clone() };
    let mut unowned = Unowned { container, state };
    let status = unowned.state.state().status;
    let was_started =
        unowned.state.state().is_alive() || status == Status::Restarting || left.is_some();
    if was_started {
        put_right(root, &mut unowned)?;
    }
    let is_over = was_started || is_abandoned(root, &unowned.container)?;
    let to_be_removed = is_over && unowned.container.spec.auto_remove;
    if to_be_removed || unowned.state.state().status == Status::Removing {
        remove(root, unowned, true)?;
        return Err(state::Error::Gone { id: id.clone() }.into());
    }
    Ok(Some(unowned))
}

/// Whether the command that made the container in order to run it died before it did.
fn is_abandoned(root: &Root, container: &Container) -> Result<bool, Error> {
    let state = &container.state;
    if state.status != Status::Created || !state.for_run {
        return Ok(false);
    }
    Ok(!is_awaited(root, &state.name))
}

/// Whether the command lives that made a container in order to run it.
pub fn is_awaited(root: &Root, name: &str) -> bool {
    !matches!(Lock::try_exclusive(&root.container_names().join(name)), Ok(Some(_)))
}

/// What a dead monitor left: its locked folder, or nothing. `None` if a monitor lives.
fn left_behind(root: &Root, id: &ContainerId) -> Result<Option<Option<Lock>>, Error> {
    match Lock::try_exclusive_directory(root.container(id).run()) {
        Ok(lock) => Ok(lock.map(Some)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Some(None)),
        Err(e) => Err(e.into()),
    }
}

/// [`take`], for those who only want the record to be true. `None`: the container is gone.
pub fn container(root: &Root, id: &ContainerId) -> Result<Option<Container>, Error> {
    match take(root, id) {
        Ok(Some(unowned)) => Ok(Some(unowned.container)),
        Ok(None) | Err(Error::State(state::Error::Gone { .. })) => match state::load(root, id) {
            Ok(container) => Ok(Some(container)),
            Err(state::Error::Gone { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        },
        Err(e) => Err(e),
    }
}

/// Whether a look at the record and the disk says that [`take`] might have something to do. Cheap: for listings.
pub fn is_suspect(root: &Root, container: &Container) -> bool {
    container.state.is_alive()
        || matches!(container.state.status, Status::Removing | Status::Restarting)
        || root.container(container.id()).run().exists()
        || (container.state.status == Status::Created && container.spec.auto_remove)
}

/// Takes back what a guest had whose monitor was killed.
pub(crate) fn clear(root: &Root, spec: &ContainerSpec) -> Result<(), Error> {
    clear_engine(root, spec)?;
    Ok(net::detach(root, &spec.id)?)
}

/// How such a guest ended.
pub(crate) fn killed() -> Exit {
    let error = Some("its monitor was killed, or the machine was restarted".to_owned());
    Exit { code: KILLED, oom_killed: false, error }
}

/// Tells that a guest ended with its monitor.
pub(crate) fn tell_killed(root: &Root, spec: &ContainerSpec, name: &str) {
    let code = KILLED.to_string();
    events::tell(root, &[state::event(spec, name, "die").with("exitCode", code)]);
}

fn put_right(root: &Root, unowned: &mut Unowned) -> Result<(), Error> {
    clear(root, &unowned.container.spec)?;
    if unowned.state.state().status == Status::Restarting {
        unowned.state.apply(|s| s.given_up(false))?;
        unowned.container.state = unowned.state.state().clone();
    }
    if unowned.state.state().is_alive() {
        unowned.state.apply(|s| s.exited(killed()))?;
        unowned.container.state = unowned.state.state().clone();
        tell_killed(root, &unowned.container.spec, &unowned.container.state.name);
    }
    let paths = root.container(&unowned.container.spec.id);
    // a record that was being replaced
    for name in fsx::list(paths.data())?.iter().filter(|name| name.starts_with(fsx::TEMPORARY)) {
        fsx::remove_file(&paths.data().join(name))?;
    }
    // last: it is the mark of unfinished work
    Ok(sys::remove_tree(paths.run())?)
}

/// Removes what an engine keeps outside of the container's folders, and kills what still runs.
pub fn clear_engine(root: &Root, spec: &ContainerSpec) -> Result<(), Error> {
    if spec.engine == EngineKind::Wasm && !cgroup::is_for_wasm(&spec.limits) {
        return Ok(());
    }
    native::cleanup(root, &spec.id).map_err(|source| Error::Engine { id: spec.id.clone(), source })
}

/// Deletes a container, with its anonymous volumes if asked. It vanishes from listings at once (`spec.json` goes
/// first); a deletion that is cut short after that is finished by the sweeper.
pub fn remove(root: &Root, unowned: Unowned, volumes: bool) -> Result<(), Error> {
    // held until the folder is gone
    let Unowned { container, state } = unowned;
    let result = hide(root, &container, &state.state().name, volumes);
    sys::remove_tree(root.container(container.id()).data())?;
    result
}

/// The quick part of a deletion: afterwards nothing is left of the container but files that nobody will look for. Goes on
/// after a volume that cannot be deleted, and reports it last.
pub(crate) fn hide(
    root: &Root,
    container: &Container,
    name: &str,
    volumes: bool,
) -> Result<(), Error> {
    let paths = root.container(container.id());
    let mut result = net::leave_all(root, container.id()).map_err(Error::from);
    let anonymous = container.spec.mounts.iter().filter_map(|m| m.volume()).filter(|v| v.anonymous);
    for mount in anonymous.filter(|_| volumes) {
        match volume::remove(root, &mount.name, Some(container.id())) {
            // with --volumes-from somebody else has it as well: the last one takes it along
            Err(volume::Error::NotFound { .. } | volume::Error::InUse { .. }) | Ok(()) => {}
            Err(e) => result = Err(e.into()),
        }
    }
    fsx::remove_file(&paths.spec())?;
    state::release(root, name)?;
    events::tell(root, &[state::event(&container.spec, name, "destroy")]);
    sys::remove_tree(paths.run())?;
    result
}

/// Deletes a container whose record cannot be read.
pub fn remove_damaged(root: &Root, id: &ContainerId) -> Result<bool, Error> {
    let paths = root.container(id);
    let _state = Lock::exclusive_directory(paths.data())?;
    let Some(_left) = left_behind(root, id)? else { return Ok(false) };
    native::cleanup(root, id).map_err(|source| Error::Engine { id: id.clone(), source })?;
    fsx::remove_file(&paths.spec())?;
    sys::remove_tree(paths.run())?;
    sys::remove_tree(paths.data())?;
    // its name, which may be unreadable too, has no owner now
    state::sweep(root)?;
    Ok(true)
}
