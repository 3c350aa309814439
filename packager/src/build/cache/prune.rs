//! Making room: the build cache has a limit, by default a tenth of the disk but not more than half of what is free, and
//! what was used least recently goes first.

use super::{Cache, last_use, mounts};
use crate::build::Error;
use knarr_core::fsx;
use knarr_core::image::Digest;
use knarr_core::lock::Lock;
use knarr_core::record;
use knarr_core::store::cached::CachedStep;
use knarr_core::sys;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Which entries to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Only those that were not used for so long.
    pub unused_for: Option<Duration>,
    /// Only until so many bytes are left, the least recently used first.
    pub keep: Option<u64>,
    /// Also the folders of cache mounts and downloads, and steps whose layers images use.
    pub all: bool,
}

/// One entry of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub kind: Kind,
    pub description: String,
    /// Bytes.
    pub size: u64,
    pub last_used: SystemTime,
    /// Its files are an image's or a container's as well: removing it frees nothing.
    pub shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a step resulted in.
    Step,
    /// The folder of a cache mount.
    Mount,
    Download,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    pub entries: Vec<Entry>,
    /// Bytes; of steps as soon as the store is collected.
    pub freed: u64,
}

/// The least time that an entry is kept when a build makes room: steps of builds that run at the moment.
const GRACE: Duration = Duration::from_secs(60);

/// Everything the cache holds. `used` tells which layers (chain ids) images and containers use.
pub fn usage(cache: &Cache, used: &HashSet<Digest>) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut seen: HashMap<Digest, ()> = HashMap::new();
    let folder = cache.root.build_steps();
    for name in fsx::list(&folder)? {
        let Some(id) = name.strip_suffix(".json") else { continue };
        let path = folder.join(&name);
        let Ok(Some(step)) = record::read::<CachedStep>(&path) else { continue };
        // several steps may have the same layer: it is counted once
        let is_first = seen.insert(step.chain.clone(), ()).is_none();
        let is_there = !step.empty && is_first && cache.store.has_layer(&step.chain);
        entries.push(Entry {
            id: id.to_owned(),
            kind: Kind::Step,
            size: if is_there { step.size } else { 0 },
            description: step.description,
            last_used: since_vanished(last_use(&path)),
            shared: used.contains(&step.chain),
        });
    }
    let folder = mounts::folder(&cache.root);
    for id in fsx::list(&folder)? {
        let place = folder.join(&id);
        entries.push(Entry {
            kind: Kind::Mount,
            description: fsx::read_to_string(&place.join("id")).unwrap_or_default(),
            size: sys::tree_size(&place)?,
            last_used: last_use(&place.join("lock")).unwrap_or(SystemTime::UNIX_EPOCH),
            shared: false,
            id,
        });
    }
    let folder = cache.root.build_cache().join("downloads");
    for id in fsx::list(&folder)? {
        let path = folder.join(&id);
        if id.ends_with(".json") || id.starts_with(fsx::TEMPORARY) {
            continue;
        }
        entries.push(Entry {
            kind: Kind::Download,
            description: "ADD".into(),
            size: fsx::size_optional(&path)?.unwrap_or_default(),
            last_used: since_vanished(last_use(&path)),
            shared: false,
            id,
        });
    }
    Ok(entries)
}

/// Somebody else may remove an entry while it is looked at.
fn since_vanished(time: Result<SystemTime, Error>) -> SystemTime {
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The entries that [`prune`] would remove, the least recently used first.
pub fn candidates(
    cache: &Cache,
    filters: &Filters,
    used: &HashSet<Digest>,
) -> Result<Vec<Entry>, Error> {
    let mut entries = usage(cache, used)?;
    entries.sort_by_key(|entry| entry.last_used);
    let now = SystemTime::now();
    let mut left: u64 = entries.iter().filter(|e| !e.shared).map(|entry| entry.size).sum();
    entries.retain(|entry| {
        let age = now.duration_since(entry.last_used).unwrap_or_default();
        let is_old = filters.unused_for.is_none_or(|limit| age >= limit);
        let is_needed_room = filters.keep.is_none_or(|keep| left > keep);
        let is_meant = filters.all || filters.keep.is_some() || entry.kind == Kind::Step;
        let is_in_use = entry.shared && !filters.all;
        let goes = is_old && is_needed_room && is_meant && !is_in_use;
        if goes && !entry.shared {
            left = left.saturating_sub(entry.size);
        }
        goes
    });
    Ok(entries)
}

/// Removes entries; those that somebody uses at the moment stay. With `all`, what was remembered of files as well.
pub fn remove_entries(cache: &Cache, entries: Vec<Entry>, all: bool) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    // builds hold the content; without one nobody uses a download, and what is temporary was left by a dead one
    let alone = Lock::try_exclusive(&cache.root.content_lock())?;
    for entry in entries {
        if (alone.is_some() || entry.kind != Kind::Download) && remove(cache, &entry)? {
            pruned.freed += if entry.shared { 0 } else { entry.size };
            pruned.entries.push(entry);
        }
    }
    if alone.is_some() {
        sweep(cache, Duration::ZERO)?;
    }
    if all {
        // the folders stay: a build may be about to write there
        for name in ["contexts", "digests", "blobs"] {
            let folder = cache.root.build_cache().join(name);
            for file in fsx::list(&folder)?.iter().filter(|file| !file.starts_with(fsx::TEMPORARY))
            {
                fsx::remove_file(&folder.join(file))?;
            }
        }
    }
    Ok(pruned)
}

/// Removes what the filters say. What of the layers is used by nobody else goes with the store's next collection.
pub fn prune(cache: &Cache, filters: &Filters, used: &HashSet<Digest>) -> Result<Pruned, Error> {
    remove_entries(cache, candidates(cache, filters, used)?, filters.all)
}

/// `false` if somebody uses it at the moment.
fn remove(cache: &Cache, entry: &Entry) -> Result<bool, Error> {
    match entry.kind {
        Kind::Step => {
            let path = cache.root.build_steps().join(format!("{}.json", entry.id));
            fsx::remove_file(&path)?;
        }
        Kind::Mount => {
            let place = mounts::folder(&cache.root).join(&entry.id);
            let _lock = match Lock::try_exclusive(&place.join("lock")) {
                Ok(Some(lock)) => lock,
                Ok(None) => return Ok(false),
                // somebody else removes it
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(e.into()),
            };
            // out of the way first: whoever wants it meanwhile makes it anew
            let doomed = format!("context-removed-{}", sys::random_name());
            let doomed = cache.root.build_cache().join(doomed);
            fsx::rename(&place, &doomed)?;
            sys::remove_tree(&doomed)?;
        }
        Kind::Download => {
            fsx::remove_file(&cache.root.build_cache().join("downloads").join(&entry.id))?;
        }
    }
    Ok(true)
}

/// The default limit in bytes: see the module's text.
pub fn default_limit(cache: &Cache) -> u64 {
    let folder = cache.root.build_cache();
    let (total, free) = sys::disk_space(&folder).unwrap_or((u64::MAX, u64::MAX));
    (total / 10).min(free / 2).max(1 << 30)
}

/// Keeps the limit, and returns the bytes given up. Costs one look at a file, but for once in ten minutes, and where the
/// limit was set by hand.
pub fn after_build(cache: &Cache, limit: Option<u64>) -> Result<u64, Error> {
    const INTERVAL: Duration = Duration::from_secs(600);
    let mark: PathBuf = cache.root.build_cache().join("pruned");
    let is_due = match last_use(&mark) {
        Ok(time) => SystemTime::now().duration_since(time).unwrap_or_default() > INTERVAL,
        Err(_) => true,
    };
    if limit.is_none() && !is_due {
        return Ok(0);
    }
    sweep(cache, ABANDONED)?;
    let keep = Some(limit.unwrap_or_else(|| default_limit(cache)));
    let filters = Filters { keep, unused_for: Some(GRACE).filter(|_| limit.is_none()), all: false };
    let pruned = prune(cache, &filters, &HashSet::new())?;
    fsx::write(&mark, b"")?;
    Ok(pruned.freed)
}

/// What is older belongs to no build that still runs.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Removes what builds that died left: contexts they had unpacked, temporary files older than `age`.
fn sweep(cache: &Cache, age: Duration) -> Result<(), Error> {
    const FORGOTTEN: Duration = Duration::from_secs(90 * 24 * 3600);
    let folder = cache.root.build_cache();
    for name in fsx::list(&folder)?.iter().filter(|name| name.starts_with("context-")) {
        let path = folder.join(name);
        if sys::age(&path)? >= age {
            sys::remove_tree(&path)?;
        }
    }
    // who runs a step holds its lock
    let steps = cache.root.build_steps();
    for name in fsx::list(&steps)?.iter().filter(|name| name.ends_with(".lock")) {
        let path = steps.join(name);
        if sys::age(&path)? >= age && Lock::try_exclusive(&path)?.is_some() {
            fsx::remove_file(&path)?;
        }
    }
    // small, and cheap to find again
    for inner in ["digests", "blobs", "contexts"] {
        let folder = folder.join(inner);
        for name in fsx::list(&folder)? {
            let path = folder.join(name);
            if sys::age(&path)? > FORGOTTEN {
                fsx::remove_file(&path)?;
            }
        }
    }
    for inner in ["steps", "digests", "blobs", "contexts", "downloads"] {
        let folder = folder.join(inner);
        for name in fsx::list(&folder)?.iter().filter(|name| name.starts_with(fsx::TEMPORARY)) {
            let path = folder.join(name);
            if sys::age(&path)? >= age {
                fsx::remove_file(&path)?;
            }
        }
    }
    Ok(())
}
