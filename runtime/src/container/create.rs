//! `create`: writes the record of a container that can be started.

use super::options::NewContainer;
use super::{Error, Result};
use crate::engine::{cgroup, native, wasm};
use crate::state::{self, Claim, ContainerState};
use crate::volume::NewVolume;
use crate::{net, volume};
use knarr_core::events;
use knarr_core::fsx::{self, Context, Durability};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode};
use knarr_core::store::Store;
use knarr_core::sys;
use knarr_core::undo::Undo;
use rustix::io::FdFlags;
use std::path::Path;

/// Attempts to make up a name that is free.
const ATTEMPTS: usize = 100;

/// Checks everything, then makes the container. The image's layers must be unpacked.
pub fn create(store: &Store, new: NewContainer) -> Result<ContainerId> {
    let NewContainer { name, spec, for_run } = new;
    if let Some(name) = &name {
        state::validate(name)?;
    }
    check(&spec)?;
    let root = store.root();
    // from here on no collector takes away what the container needs
    let _hold = store.hold()?;
    for chain in &spec.image.layers {
        if !store.has_layer(chain) {
            return Err(Error::LayerMissing { chain: chain.clone() });
        }
    }
    if !root.container_names().exists() {
        sys::create_private_dir_all(&root.container_names())?;
    }
    let (name, _making) = claim(root, name.as_deref(), &spec.id)?;
    let paths = root.container(&spec.id);
    let mut undo = Undo::new();
    undo.push(|| drop(state::release(root, &name)));
    sys::create_private_dir_all(paths.data())?;
    undo.push(|| drop(sys::remove_tree(paths.data())));
    if for_run {
        own_for_life(&root.container_names().join(&name))?;
    }
    let lasting = spec.restart.is_lasting();
    let state = ContainerState { for_run, lasting, ..ContainerState::created(name.clone()) };
    record::write(&paths.state(), &state, state.durability())?;
    undo.push(|| drop(net::leave_all(root, &spec.id)));
    if let NetworkMode::Networks(wishes) = &spec.network {
        for wish in wishes {
            net::join(root, &spec.id, &name, wish)?;
        }
    }
    if lasting {
        net::keep(root, &spec.id)?;
        fsx::sync_up_to(&root.container_names().join(&name), root.data())?;
    }
    // last: now it exists
    record::write(&paths.spec(), &spec, Durability::Process)?;
    if lasting {
        fsx::sync_up_to(&paths.spec(), root.data())?;
    }
    undo.commit();
    // what is missing here is made at the start
    for mount in spec.mounts.iter().filter_map(|mount| mount.volume()) {
        volume::create(root, NewVolume { lasting, ..mount.into() })?;
    }
    events::tell(root, &[state::event(&spec, &name, "create")]);
    Ok(spec.id)
}

/// Locks a file until this process ends, and the monitor that it starts or becomes: [`reconcile`](crate::reconcile) tells by
/// it that nobody will start the container any more.
fn own_for_life(path: &Path) -> Result<()> {
    let lock = Lock::exclusive(path)?;
    rustix::io::fcntl_setfd(lock.file(), FdFlags::empty()).at("keep open", path)?;
    std::mem::forget(lock);
    Ok(())
}

/// What its engine cannot do for it is refused now, not at the start.
fn check(spec: &ContainerSpec) -> Result<()> {
    match spec.engine {
        EngineKind::Native => Ok(native::check(spec)?),
        EngineKind::Wasm => {
            if let Some(meaningless) = wasm::check_options(spec).into_iter().next() {
                return Err(meaningless.into());
            }
            if let Some(limits) = cgroup::limits_of_wasm(&spec.limits) {
                cgroup::check(&cgroup::Host::detect(sys::is_superuser()), &limits)
                    .map_err(native::Error::from)?;
            }
            Ok(())
        }
    }
}

/// Claims the name that was asked for, or one that is made up. The lock keeps the sweeper away from a container that
/// is half-made.
fn claim(root: &Root, asked: Option<&str>, id: &ContainerId) -> Result<(String, Lock)> {
    let mut taken = None;
    for attempt in 0..ATTEMPTS {
        let name = asked.map_or_else(|| state::generate(attempt), str::to_owned);
        let making = Lock::shared(&root.containers_lock())?;
        match state::claim(root, &name, id)? {
            Claim::Done => return Ok((name, making)),
            Claim::Taken(owner) => {
                taken = Some(state::Error::NameTaken { name, owner });
                if asked.is_some() {
                    break;
                }
            }
            // Somebody makes or removes that container right now, or was killed while doing so. The sweeper waits for
            // the ones and cleans up after the others.
            Claim::Stale => {
                drop(making);
                state::sweep_waiting(root)?;
            }
        }
    }
    Err(taken.unwrap_or(state::Error::NamesExhausted { attempts: ATTEMPTS }).into())
}
