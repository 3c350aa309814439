//! From a module's file to a program in memory: compiled ahead of time, mapped from the cache.
//!
//! Mapping one takes a good part of a start, and needs nothing of what the monitor prepares meanwhile: [`Loading`] does
//! it in a thread of the monitor, whose fork then has the program.

use super::cache::Cache;
use super::compile;
use super::config::{self, Code, Needs, Purpose};
use super::error::Error;
use super::host::Host1;
use super::kinds::{self, Format};
use super::link::imports;
use super::locate::{self, Entrypoint, Found};
use super::origin::{self, Origin};
use crate::engine::Launch;
use crate::engine::bind::FREE;
use crate::engine::native::sys::landlock_generation;
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use knarr_core::store::snapshot::{self, Snapshot};
use knarr_core::sys;
use rustix::fs::{fstat, stat};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use wasmtime::component::Component;
use wasmtime::{Engine, Linker, Module};

/// A program in memory, ready to be linked.
pub(super) enum Program {
    /// With the functions that it may import.
    Module(Module, Linker<Host1>),
    Component(Component, Result<kinds::World, Vec<String>>),
}

impl Program {
    /// Whether the guest has any function by which files are opened, listed or changed.
    fn reaches_files(&self, engine: &Engine) -> bool {
        match self {
            Self::Module(module, _) => module.imports().any(|import| {
                let name = import.name();
                name.starts_with("path_") || name.starts_with("fd_readdir")
            }),
            Self::Component(component, _) => {
                let kind = component.component_type();
                kind.imports(engine).any(|(name, _)| name.starts_with("wasi:filesystem/"))
            }
        }
    }
}

/// A program that a thread of the monitor is mapping.
pub struct Loading(JoinHandle<Option<Loaded>>);

/// A program that the monitor has mapped before it forked.
pub struct Loaded {
    /// The compiled module's file, by which the guest's process knows that this is what it is to run.
    path: PathBuf,
    /// The file stays open: memories begin as parts of it.
    descriptor: RawFd,
    engine: Engine,
    program: Program,
}

impl Loading {
    /// Begins to map what the container most likely runs: a file of a layer, compiled before. Whether it is that, the
    /// guest's process sees when it has found the module; where nothing is loaded, it does that too.
    ///
    /// Only the superuser's monitor may have a second thread: an ordinary user's makes a user namespace.
    pub fn begin(root: &Root, spec: &ContainerSpec, snapshot: &Snapshot) -> Option<Self> {
        if !sys::is_superuser() {
            return None;
        }
        let entrypoint = Entrypoint::parse(spec.process.args().first()?);
        let names = locate::candidates(&entrypoint.name, &spec.process.env, &spec.process.cwd);
        let (root, snapshot) = (root.clone(), snapshot.clone());
        let load = move || map_of_layer(&root, &snapshot, &names);
        thread::Builder::new().name("load".into()).spawn(load).ok().map(Self)
    }

    /// The thread has ended when this returns.
    pub fn finish(self) -> Option<Loaded> {
        self.0.join().ok()?
    }
}

impl Loaded {
    /// To be kept open in the guest's process.
    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Whether the guest may live in a layer that belongs to others too: it has no function by which files are opened, listed
    /// or changed, and should it break out of wasmtime, Landlock keeps it from writing there.
    pub fn may_live_in_a_layer(&self) -> bool {
        // the third generation knows truncation
        !self.program.reaches_files(&self.engine) && landlock_generation().is_some_and(|g| g >= 3)
    }
}

fn map_of_layer(root: &Root, snapshot: &Snapshot, names: &[String]) -> Option<Loaded> {
    let (file, in_layer) =
        names.iter().find_map(|name| snapshot::locate(snapshot, Path::new(name)))?;
    if !in_layer {
        return None;
    }
    let module = locate::examine(fsx::open(&file).ok()?, file.display().to_string()).ok()?;
    let origin = Origin::of(root, &file, module.file.metadata().ok()?)?;
    let (path, code) = Cache::new(root, &config::compatibility()).known(&origin)?;
    let _low = take_low_numbers();
    // the other thread may give a low number back at any moment; what was mapped with one keeps it taken
    let mut before = Vec::new();
    for _ in 0..4 {
        let (engine, program) = map_for(&path, code, module.format).ok()?;
        if let Some(descriptor) = descriptor_of(&path) {
            return Some(Loaded { path, descriptor, engine, program });
        }
        before.push((engine, program));
    }
    None
}

/// Descriptors at those numbers below [`FREE`] that nobody has.
fn take_low_numbers() -> Vec<OwnedFd> {
    let null = || fsx::open(Path::new("/dev/null")).map(OwnedFd::from).ok();
    std::iter::from_fn(null).take_while(|fd| fd.as_raw_fd() < FREE).collect()
}

/// The descriptor that wasmtime has opened a file as, which it keeps to itself. No other code opens compiled modules. One
/// whose number the guest's process has another use for is as good as none.
fn descriptor_of(path: &Path) -> Option<RawFd> {
    let file = stat(path).ok()?;
    (FREE..1024).find(|number| {
        // SAFETY: only examined; the number of a descriptor that is closed meanwhile makes the call fail.
        let opened = fstat(unsafe { BorrowedFd::borrow_raw(*number) });
        opened.is_ok_and(|o| (o.st_dev, o.st_ino) == (file.st_dev, file.st_ino))
    })
}

/// Maps the compiled module from the cache, unless that was done; compiles it first if it is not there.
pub(super) fn load(
    launch: &Launch<'_>,
    loaded: Option<Loaded>,
    found: &Found,
) -> Result<(Engine, Program), Error> {
    let cache = Cache::new(launch.root, &config::compatibility());
    let entry = cache.entry(&found.file, origin::in_layer(launch, found).as_ref())?;
    let present = entry.present();
    if let Some(loaded) = loaded
        && present.iter().any(|(path, _)| *path == loaded.path)
    {
        return Ok((loaded.engine, loaded.program));
    }
    for (path, code) in present {
        // a file that this engine does not accept is worth no more than none
        if let Ok(loaded) = map_for(&path, code, found.format) {
            entry.remember(&path)?;
            return Ok(loaded);
        }
    }
    let entry = entry.by_content(&found.file)?;
    let memory = launch.spec.limits.memory;
    let (path, code) = compile::compile(&cache, &entry, found, memory, &mut |_| {})?;
    map_for(&path, code, found.format)
}

/// Maps a compiled module for the engine that it wants: servers get one with a pool.
fn map_for(path: &Path, code: Code, format: Format) -> Result<(Engine, Program), Error> {
    let failed = |e| Error::system("load the compiled module", e);
    let engine = compile::engine(Purpose::Run, code)?;
    let program = map(&engine, path, format).map_err(failed)?;
    match &program {
        Program::Component(component, Ok(world)) if world.is_server() => {
            let engine = compile::engine(Purpose::Serve(Needs::of(component)), code)?;
            let program = map(&engine, path, format).map_err(failed)?;
            Ok((engine, program))
        }
        _ => Ok((engine, program)),
    }
}

fn map(engine: &Engine, path: &Path, format: Format) -> wasmtime::Result<Program> {
    // SAFETY: both trust that the file is wasmtime's own unmodified output. It lies in a directory that only Knarr's
    // user can enter (cache.rs), was written completely before it got its name, and is replaced, never changed.
    unsafe {
        if format.is_component() {
            let component = Component::deserialize_file(engine, path)?;
            let world = kinds::world(engine, &component);
            Ok(Program::Component(component, world))
        } else {
            let module = Module::deserialize_file(engine, path)?;
            let linker = imports::of_module(engine, &module)?;
            Ok(Program::Module(module, linker))
        }
    }
}
