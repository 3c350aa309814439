//! Compiling a module ahead of time, in a process of its own ([`child`]) that has a limit to what it may take
//! ([`Allowance`]): Cranelift reads hostile input, may need minutes and gigabytes, and has been seen to panic. Whatever
//! happens to it, nobody else goes down.

mod allowance;
mod child;
mod proposals;

pub(super) use allowance::Resource;

use super::cache::{Cache, Entry};
use super::config::{self, Code, Purpose};
use super::error::Error;
use super::locate::{self, Found};
use super::message::Progress;
use super::origin::Origin;
use allowance::Allowance;
use knarr_core::fsx;
use knarr_core::root::Root;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmtime::Engine;

/// Compiles a module into the cache, so that its first run finds it there. `module` is a file of an unpacked layer.
///
/// Forks: call it from a process with a single thread.
pub fn precompile(
    root: &Root,
    module: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    let file = fsx::open(module).map_err(|e| Error::system("open the module", e))?;
    let metadata = file.metadata().map_err(|e| Error::system("examine the module", e))?;
    let found = locate::examine(file, module.display().to_string())?;
    let cache = Cache::new(root, &config::compatibility());
    let origin = Origin::of(root, module, metadata);
    let entry = cache.entry(&found.file, origin.as_ref())?;
    if let Some((path, _)) = entry.present().iter().find(|(path, _)| path.exists()) {
        return entry.remember(path);
    }
    let entry = entry.by_content(&found.file)?;
    compile(&cache, &entry, &found, None, progress)?;
    Ok(())
}

pub(super) fn engine(purpose: Purpose, code: Code) -> Result<Engine, Error> {
    config::engine(purpose, code).map_err(|e| Error::system("set up wasmtime", e))
}

/// Compiles into the cache entry, in a child process; where the file is and of what kind. `memory` is what the container
/// may have: its module's compiler may have as much.
pub(super) fn compile(
    cache: &Cache,
    entry: &Entry,
    found: &Found,
    memory: Option<u64>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, Code), Error> {
    cache.create()?;
    let bytes = found.file.metadata().map_or(0, |m| m.len());
    let allowance = Allowance::of(bytes, memory)?;
    progress(Progress::Compiling { path: found.path.clone(), bytes });
    let started = Instant::now();
    let output = cache.temporary()?;
    let code = child::compile(found, output.as_file(), &allowance)?;
    let path = entry.publish(output, code)?;
    cache.shrink(&path)?;
    let milliseconds = started.elapsed().as_millis() as u64;
    progress(Progress::Compiled { path: found.path.clone(), milliseconds });
    Ok((path, code))
}
