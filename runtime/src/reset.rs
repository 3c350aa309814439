//! Taking a root away: everything that is in it, and everything of it that is in the kernel.
//!
//! From what holds to what is held: containers are killed first, then come networks, mounts and cgroups, and the directories
//! last. A reset that was cut short is taken up again by the next one, as long as there is a directory.

use crate::container::remove;
use crate::engine::cgroup;
use crate::sys::holders::{Holder, holders};
use crate::sys::mount;
use crate::{container, net, oneshot, state, volume};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::sys;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is not Knarr's alone: it holds {}", root.display(), listed(paths))]
    Foreign { root: PathBuf, paths: Vec<PathBuf> },
    #[error("something is mounted on {}", listed(paths))]
    Mounted { paths: Vec<PathBuf> },
    #[error("cannot find out where {} leads to", path.display())]
    Resolve { path: PathBuf, source: io::Error },
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Container(#[from] container::Error),
    #[error(transparent)]
    Step(#[from] oneshot::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error(transparent)]
    Volume(#[from] volume::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => Some(
                "move that elsewhere, or name the right directory with --root or KNARR_ROOT".into(),
            ),
            Self::Mounted { paths } => {
                let first = paths.first()?.display();
                Some(format!("what is there is not removed: 'umount {first}' first"))
            }
            Self::Container(e) => e.hint(),
            Self::Step(e) => e.hint(),
            Self::Net(e) => e.hint(),
            Self::Volume(e) => e.hint(),
            Self::Resolve { .. } | Self::File(_) => None,
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = paths.iter().take(SHOWN).map(|p| p.display().to_string()).collect();
    match paths.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What there is to take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// By name; by short id where that cannot be read.
    pub containers: Vec<String>,
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
    /// The directories that will be gone.
    pub places: Vec<PathBuf>,
}

/// Somebody else is at work, and is waited for.
#[derive(Debug)]
pub struct Busy<'a> {
    pub path: &'a Path,
    /// Empty if it cannot be told.
    pub holders: Vec<Holder>,
}

/// Looks at a root without changing it. `None`: there is nothing of Knarr's. Whatever is not Knarr's is an error.
pub fn look(root: &Root) -> Result<Option<Found>, Error> {
    let contents = root.contents()?;
    if !contents.foreign.is_empty() {
        return Err(Error::Foreign { root: root.data().to_owned(), paths: contents.foreign });
    }
    if !contents.has_own {
        return Ok(None);
    }
    let places = places(root);
    let mut mounted = Vec::new();
    for place in &places {
        let real = resolve(place)?;
        let own = own_mounts(root)?;
        mounted.extend(mount::below(&real)?.into_iter().filter(|point| !own.contains(point)));
    }
    if !mounted.is_empty() {
        return Err(Error::Mounted { paths: mounted });
    }
    let name = |id: &ContainerId| match state::load(root, id) {
        Ok(container) => container.state.name,
        Err(_) => id.short().to_owned(),
    };
    Ok(Some(Found {
        containers: recorded(root).iter().map(name).collect(),
        networks: fsx::list(&root.networks()).unwrap_or_default(),
        volumes: fsx::list(&root.volumes()).unwrap_or_default(),
        places,
    }))
}

/// Takes everything away that [`look`] has found. Goes on after an error; all of them. `waits` is told of whom it waits for.
pub fn reset(root: &Root, waits: &mut dyn FnMut(&Busy)) -> Vec<Error> {
    let mut reset = Reset { root, waits, errors: Vec::new() };
    // nobody adds images or builds, nobody makes containers
    let _content = reset.wait(&root.content_lock());
    let _images = reset.wait(&root.images_lock());
    let _containers = reset.wait(&root.containers_lock());
    let ids = ids(root);
    let killed = remove::kill_all(root, &ids);
    reset.note(killed);
    if net::rootless::is_outside() {
        let ended = net::rootless::end(root).map_err(net::Error::from);
        reset.note(ended);
    }
    for id in &ids {
        reset.note(remove::wipe(root, id));
    }
    reset.note(oneshot::sweep_all(root));
    let _networks = reset.networks(&ids);
    reset.volumes();
    cgroup::remove_empty(&cgroup::Host::detect(sys::is_superuser()));
    for place in places(root) {
        let removed = remove_place(&place);
        reset.note(removed);
    }
    reset.errors
}

struct Reset<'a> {
    root: &'a Root,
    waits: &'a mut dyn FnMut(&Busy),
    errors: Vec<Error>,
}

impl Reset<'_> {
    fn note<E: Into<Error>>(&mut self, result: Result<(), E>) {
        self.errors.extend(result.err().map(E::into));
    }

    /// The lock of a file or a directory, which need not be there.
    fn wait(&mut self, path: &Path) -> Option<Lock> {
        let lock = self.locked(path);
        lock.map_err(|e| self.errors.push(e.into())).ok().flatten()
    }

    fn locked(&mut self, path: &Path) -> fsx::Result<Option<Lock>> {
        if !path.exists() {
            return Ok(None);
        }
        let is_directory = path.is_dir();
        let free = match is_directory {
            true => Lock::try_exclusive_directory(path)?,
            false => Lock::try_exclusive(path)?,
        };
        if free.is_some() {
            return Ok(free);
        }
        (self.waits)(&Busy { path, holders: holders(path).unwrap_or_default() });
        match is_directory {
            true => Lock::exclusive_directory(path).map(Some),
            false => Lock::exclusive(path).map(Some),
        }
    }

    fn networks(&mut self, ids: &[ContainerId]) -> Option<Lock> {
        let all = self.wait(&self.root.networks());
        for name in fsx::list(&self.root.networks()).unwrap_or_default() {
            drop(self.wait(self.root.network(&name).data()));
        }
        if !net::rootless::is_outside() {
            let errors = &mut self.errors;
            net::take_down(self.root, ids, &mut |error| errors.push(error.into()));
        }
        all
    }

    fn volumes(&mut self) {
        for name in fsx::list(&self.root.volumes()).unwrap_or_default() {
            let _lock = self.wait(&self.root.volumes().join(&name).join("lock"));
            self.note(volume::wipe(self.root, &name));
        }
    }
}

/// The directories that are there.
fn places(root: &Root) -> Vec<PathBuf> {
    let inside = root.run().starts_with(root.data());
    let mut places = vec![root.data().to_owned()];
    places.extend((!inside).then(|| root.run().to_owned()));
    places.retain(|place| place.exists());
    places
}

fn resolve(place: &Path) -> Result<PathBuf, Error> {
    place.canonicalize().map_err(|source| Error::Resolve { path: place.to_owned(), source })
}

/// Where Knarr mounts something for all to see.
fn own_mounts(root: &Root) -> Result<BTreeSet<PathBuf>, Error> {
    let mut own = BTreeSet::new();
    for name in fsx::list(&root.networks_run())? {
        own.insert(root.network(&name).shared_namespace());
    }
    for name in fsx::list(&root.volumes())? {
        own.insert(volume::mount_point(root, &name));
    }
    Ok(own.into_iter().filter_map(|point| point.canonicalize().ok()).collect())
}

/// What is mounted below keeps it: nothing of others is deleted. A directory that is a mount, or in somebody else's, stays empty.
fn remove_place(place: &Path) -> Result<(), Error> {
    let real = resolve(place)?;
    let mounted = mount::below(&real)?;
    if !mounted.is_empty() {
        return Err(Error::Mounted { paths: mounted });
    }
    let mut result = Ok(());
    for name in fsx::list(&real)? {
        result = result.and(sys::remove_tree(&real.join(name)));
    }
    match result.and_then(|()| sys::remove_tree(&real)) {
        Err(_) if real.is_dir() && fsx::list(&real)?.is_empty() => {}
        other => other?,
    }
    if place.is_symlink() {
        fsx::remove_file(place)?;
    }
    Ok(())
}

/// The containers that have a folder.
fn recorded(root: &Root) -> Vec<ContainerId> {
    let names = fsx::list(&root.containers()).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Those too of which only a run folder is left: a cgroup tells the rest of the id.
fn ids(root: &Root) -> Vec<ContainerId> {
    let mut ids: BTreeSet<ContainerId> = recorded(root).into_iter().collect();
    let running = fsx::list(&root.containers_run()).unwrap_or_default();
    let is_known = |half: &String| ids.iter().any(|id| id.as_str().starts_with(half.as_str()));
    let unknown: Vec<String> = running.into_iter().filter(|half| !is_known(half)).collect();
    if !unknown.is_empty() {
        let with_cgroup = cgroup::containers(&cgroup::Host::detect(sys::is_superuser()));
        for half in unknown {
            let whole = with_cgroup.iter().find(|id| id.as_str().starts_with(&half)).cloned();
            ids.extend(whole.or_else(|| half.repeat(2).parse().ok()));
        }
    }
    ids.into_iter().collect()
}
