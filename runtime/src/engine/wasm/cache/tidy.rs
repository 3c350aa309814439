//! What the cache gives back: by a prune, and by itself when it has grown large. All of it can be made again.

use super::super::config;
use super::super::error::Error;
use super::{Cache, PLAIN, linked};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::sys;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of compiled modules that may stay beside the one that was compiled last.
const LIMIT: u64 = 2 << 30;
/// Somebody may have made a file so young a moment ago, and be about to use it.
const YOUNG: Duration = Duration::from_secs(60);
/// A compilation that has not ended by now never will.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A file of the cache.
struct Compiled {
    path: PathBuf,
    bytes: u64,
    /// When a guest was last started from it, to the day where the file system writes that rarely.
    used: SystemTime,
}

/// Removes what other versions of the engine have compiled, and what no layer holds the source of; the bytes that were
/// reclaimed. A module that lies in a container's own files or in a volume is compiled again when it is next run.
pub fn prune(root: &Root) -> Result<u64, Error> {
    let failed = |e: fsx::Error| Error::system("tidy the compiled modules", e);
    let current = config::compatibility();
    let mut reclaimed = 0;
    for name in fsx::list(&root.wasm_cache()).map_err(failed)? {
        if name != current {
            let folder = root.wasm_cache().join(name);
            reclaimed += compiled(&folder).map_err(failed)?.iter().map(|c| c.bytes).sum::<u64>();
            sys::remove_tree(&folder).map_err(failed)?;
        }
    }
    let cache = Cache::new(root, &current);
    let layers = cache.layers();
    let mut kept = HashSet::new();
    for layer in fsx::list(&layers).map_err(failed)? {
        let folder = layers.join(&layer);
        if ![root.layers(), root.mapped_layers()].iter().any(|all| all.join(&layer).exists()) {
            sys::remove_tree(&folder).map_err(failed)?;
            continue;
        }
        let links = fsx::list(&folder).map_err(failed)?;
        kept.extend(links.iter().filter_map(|link| linked(&folder.join(link))).map(|(n, _)| n));
    }
    let mut unused = compiled(&cache.directory).map_err(failed)?;
    unused.retain(|c| {
        let name = c.path.file_name().and_then(|name| name.to_str());
        !name.is_some_and(|name| kept.contains(name))
    });
    for file in unused {
        if sys::age(&file.path).map_err(failed)? > YOUNG {
            fsx::remove_file(&file.path).map_err(failed)?;
            reclaimed += file.bytes;
        }
    }
    for name in
        fsx::list(&cache.directory).map_err(failed)?.iter().filter(|n| n.starts_with(".tmp-"))
    {
        let path = cache.directory.join(name);
        if sys::age(&path).map_err(failed)? > ABANDONED {
            fsx::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(reclaimed)
}

impl Cache {
    /// After `latest` was compiled: removes those that were used least recently, down to the limit.
    pub fn shrink(&self, latest: &Path) -> Result<(), Error> {
        self.shrink_to(LIMIT, latest)
            .map_err(|e| Error::system("make room for compiled modules", e))
    }

    fn shrink_to(&self, limit: u64, latest: &Path) -> fsx::Result<()> {
        let mut others = compiled(&self.directory)?;
        others.retain(|file| file.path != latest);
        others.sort_by_key(|file| file.used);
        let mut total: u64 = others.iter().map(|file| file.bytes).sum();
        for file in others {
            if total <= limit {
                break;
            }
            fsx::remove_file(&file.path)?;
            total -= file.bytes;
        }
        Ok(())
    }
}

/// The compiled files in a directory; none if it is not there.
fn compiled(directory: &Path) -> fsx::Result<Vec<Compiled>> {
    let mut files = Vec::new();
    for name in fsx::list(directory)?.iter().filter(|name| name.ends_with(PLAIN)) {
        let path = directory.join(name);
        // gone meanwhile: somebody else tidies
        let Ok(metadata) = path.metadata() else { continue };
        let used = metadata.accessed().or_else(|_| metadata.modified());
        let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
        files.push(Compiled { path, bytes: metadata.len(), used });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let cache = Cache::new(&root, "engine");
        cache.create().unwrap();
        let path = |name: &str| cache.directory.join(format!("{name}{PLAIN}"));
        for (name, used) in [("old", 1), ("older", 0), ("young", 9), ("latest", 0)] {
            let file = fsx::create(&path(name)).unwrap();
            file.set_len(1000).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(used);
            file.set_times(std::fs::FileTimes::new().set_accessed(used)).unwrap();
        }
        let left = || ["older", "old", "young", "latest"].map(|name| path(name).exists());
        cache.shrink_to(3000, &path("latest")).unwrap();
        assert_eq!(left(), [true; 4]);
        cache.shrink_to(2999, &path("latest")).unwrap();
        assert_eq!(left(), [false, true, true, true]);
        cache.shrink_to(0, &path("latest")).unwrap();
        assert_eq!(left(), [false, false, false, true]);
    }
}
