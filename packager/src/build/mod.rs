//! Builds: from a Dockerfile and a context to images.
//!
//! ```text
//! options ─► context ─► Dockerfile ─► plan (pure) ─► execute ─► output
//!                                      │              │ a thread for each stage; for each step:
//!                                      │              │ key ─► cache ─► else a layer: copy, or run by the StepRunner
//!                                      └─ images      └─ core::store::layers: the step's upper directory is the layer
//! ```
//!
//! Nothing is mounted here: `COPY` writes into the layer's own tree and looks the layers below up as overlayfs would. A
//! layer is compressed only if it gets into an image.

mod attest;
pub mod cache;
mod checks;
mod content;
mod context;
mod error;
mod execute;
mod files;
mod git;
mod glob;
mod images;
pub mod options;
mod output;
pub mod plan;
mod preview;
pub mod progress;
mod remote;
mod report;
mod stage;
pub mod step;
mod steps;
mod walk;

pub use error::Error;
pub use options::Options;
pub use preview::{check, explain};
pub use progress::{BuildProgress, Event, Quiet, Vertex, VertexId};
pub use step::{
    Cancellation, Exit, RunStep, StepError, StepMount, StepMountKind, StepRunner, Stream,
};

use crate::dockerfile;
use crate::registry;
use crate::wasm::ModuleReport;
use cache::Cache;
use cache::transfer::{self, Imports};
use context::Opened;
use execute::Build;
use knarr_core::image::{Descriptor, Digest, Platform, Reference};
use knarr_core::store::Store;
use output::Variant;
use plan::Plan;
use report::Report;
use std::collections::HashMap;
use std::sync::Mutex;
use steps::copy::Clock;

/// What a build needs besides its options.
pub struct Services<'a> {
    pub runner: &'a dyn StepRunner,
    pub progress: &'a dyn BuildProgress,
    /// Read only if something is pulled or pushed.
    pub registry: &'a (dyn Fn() -> Result<registry::Config, registry::config::Error> + Sync),
    /// Used by the caller to stop the build; the build uses it itself when a step fails.
    pub cancellation: Cancellation,
}

/// What came out of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// What the tags name: an index, or the manifest of the only variant. `None` where nothing went into the store.
    pub image: Option<Descriptor>,
    pub tags: Vec<Reference>,
    pub variants: Vec<BuiltVariant>,
    /// Bytes of what the cache gave up to keep its limit: the store can be collected.
    pub freed: u64,
}

/// One variant.
#[derive(Debug, Clone)]
pub struct BuiltVariant {
    pub platform: Platform,
    pub manifest: Descriptor,
    /// Of the configuration.
    pub config: Digest,
    /// The provenance (an in-toto predicate), for `--metadata-file`.
    pub provenance: serde_json::Value,
    /// What is known of the Wasm module that is the entrypoint.
    pub module: Option<ModuleReport>,
}

/// Builds.
///
/// On error nothing is tagged; the results of steps that succeeded are in the cache. Whatever else a build that failed or
/// was killed leaves is invisible, and removed by the store's collector.
pub fn build(store: &Store, options: &Options, services: &Services) -> Result<Built, Error> {
    let started = jiff::Timestamp::now();
    // layers and blobs are referred to by nothing until the tag is written
    let hold = store.hold_to_add()?;
    let cache = Cache::open(store)?;
    let report = Report::new(services.progress);
    let (context, contexts) = open_contexts(store, options, &report)?;
    let (dockerfile, dockerfile_name) = read_dockerfile(options, &context, &report)?;
    let finder = images::Finder {
        store,
        options,
        services,
        report: &report,
        found: Mutex::new(HashMap::new()),
    };
    let plan = plan::plan(&dockerfile, options, &finder)?;
    for warning in &plan.warnings {
        report.event(Event::Warning { message: warning, line: None, url: None });
    }
    checks::tell(&dockerfile, options, context.ignore(), &plan, &report)?;
    let imports = Imports::open(store, options, services, &report)?;
    let build = Build {
        store,
        cache: &cache,
        options,
        services,
        report: &report,
        context: &context,
        contexts: &contexts,
        imports: &imports,
        clock: Clock {
            epoch: options.source_date_epoch,
            now: started.as_second(),
            rewrites: false,
        },
        started,
        dockerfile_name,
    };
    let variants = execute_all(&build, &plan)?;
    let mut built = output::write(&build, &variants)?;
    sync(&build, &variants)?;
    transfer::export(&build, &variants)?;
    for context in contexts.values().chain([&context]) {
        if let Some(hashes) = &context.hashes {
            hashes.save()?;
        }
    }
    drop(hold);
    built.freed = cache::prune::after_build(&cache, options.cache_limit)?;
    Ok(built)
}

/// All variants at once.
fn execute_all<'a>(build: &Build, plan: &'a Plan) -> Result<Vec<Variant<'a>>, Error> {
    let several = plan.variants.len() > 1;
    let results: Vec<Result<execute::Finished, Error>> = std::thread::scope(|scope| {
        let variants = plan.variants.iter();
        let threads: Vec<_> = variants
            .map(|variant| scope.spawn(move || execute::execute(build, variant, several)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Cancelled))).collect()
    });
    let mut variants = Vec::new();
    let mut failure = None;
    for (plan, result) in plan.variants.iter().zip(results) {
        match result {
            Ok(finished) => variants.push(Variant { plan, finished }),
            Err(Error::Cancelled) => {
                failure.get_or_insert(Error::Cancelled);
            }
            Err(error) => {
                if matches!(failure, None | Some(Error::Cancelled)) {
                    failure = Some(error);
                }
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(variants),
    }
}

/// What was built stays after a power cut. A build that was cached as a whole has nothing to do here.
fn sync(build: &Build, variants: &[Variant]) -> Result<(), Error> {
    let states = variants.iter().flat_map(|variant| &variant.finished.stages);
    let layers = states.flat_map(|state| &state.layers).filter(|layer| layer.key.is_some());
    Ok(build.store.sync_layers(layers.map(|layer| &layer.chain))?)
}

fn open_contexts(
    store: &Store,
    options: &Options,
    report: &Report,
) -> Result<(Opened, HashMap<String, Opened>), Error> {
    let vertex = report.internal("[internal] load build context");
    report.watch(vertex, || {
        let mut context = Opened::open(store.root(), &options.context, "the context")?;
        context.read_ignore(Some(&options.dockerfile))?;
        let mut contexts = HashMap::new();
        for (name, named) in &options.contexts {
            if matches!(named, options::Context::Image(_)) {
                continue;
            }
            let label = format!("the context {name}");
            let mut opened = Opened::open(store.root(), named, &label)?;
            opened.read_ignore(None)?;
            contexts.insert(name.clone(), opened);
        }
        Ok((context, contexts))
    })
}

fn read_dockerfile(
    options: &Options,
    context: &Opened,
    report: &Report,
) -> Result<(dockerfile::Dockerfile, String), Error> {
    let vertex = report.internal("[internal] load build definition from Dockerfile");
    report.watch(vertex, || {
        let (bytes, name) = context.dockerfile(options)?;
        Ok((dockerfile::parse(&bytes, &name)?, name))
    })
}
