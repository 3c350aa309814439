//! Carrying a plan out: a thread for each stage, each waiting for the stages it needs.

use super::cache::Cache;
use super::context::Opened;
use super::plan::{Base, BaseImage, Operation, Origin, RunMount, Step, VariantPlan};
use super::progress::{Vertex, VertexId};
use super::report::Report;
use super::stage::StageBuilder;
use super::steps::copy::Clock;
use super::{Error, Options, Services};
use knarr_core::image::config::History;
use knarr_core::image::{Descriptor, Digest};
use knarr_core::store::Store;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What all stages of a build share.
pub struct Build<'a> {
    pub store: &'a Store,
    pub cache: &'a Cache,
    pub options: &'a Options,
    pub services: &'a Services<'a>,
    pub report: &'a Report<'a>,
    pub context: &'a Opened,
    /// By name.
    pub contexts: &'a HashMap<String, Opened>,
    pub imports: &'a super::cache::transfer::Imports,
    pub clock: Clock,
    pub started: jiff::Timestamp,
    /// What messages call the Dockerfile.
    pub dockerfile_name: String,
}

/// One layer of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub chain: Digest,
    pub diff_id: Digest,
    /// In the store; `None`: it was built, and is compressed only if it gets into an image.
    pub blob: Option<Descriptor>,
    /// The key of the step that made it.
    pub key: Option<Digest>,
}

/// Where a stage stands: after its last step, what it resulted in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Bottom first.
    pub layers: Vec<Layer>,
    pub history: Vec<History>,
    /// Whose layers are at the bottom; unpacked only if a step needs files.
    pub base: Option<Arc<BaseImage>>,
    /// Whether the last step made a layer, and when (RFC 3339).
    pub added: bool,
    pub step_created: Option<String>,
}

impl State {
    pub fn chain(&self) -> Option<&Digest> {
        self.layers.last().map(|layer| &layer.chain)
    }
}

impl Build<'_> {
    /// The time of what is made now, RFC 3339.
    pub fn created(&self) -> String {
        let time = match self.clock.epoch {
            Some(epoch) => jiff::Timestamp::from_second(epoch).unwrap_or_default(),
            None => jiff::Timestamp::now(),
        };
        time.to_string()
    }

    /// When the build began, RFC 3339; with a fixed time, that.
    pub fn started(&self) -> String {
        if self.clock.epoch.is_some() { self.created() } else { self.started.to_string() }
    }

    /// The trees of a stage, top first, unpacked by now.
    pub fn trees(&self, state: &State) -> Result<Vec<PathBuf>, Error> {
        if let Some(base) = &state.base {
            self.unpack(base)?;
        }
        Ok(state.layers.iter().rev().map(|layer| self.store.layer_path(&layer.chain)).collect())
    }

    /// The trees of an image, top first, and the chain id of the topmost.
    pub fn image_trees(&self, image: &BaseImage) -> Result<Vec<PathBuf>, Error> {
        self.unpack(image)?;
        let chains = knarr_core::store::building::chains_of(&image.config)?;
        Ok(chains.iter().rev().map(|chain| self.store.layer_path(chain)).collect())
    }

    fn unpack(&self, image: &BaseImage) -> Result<(), Error> {
        let manifest = self.store.manifest(&image.manifest)?;
        self.store.unpack(&manifest, &image.config)?;
        Ok(())
    }

    /// The layers of an image as a stage starts with.
    pub fn begin(&self, image: &BaseImage) -> Result<State, Error> {
        let manifest = self.store.manifest(&image.manifest)?;
        let chains = knarr_core::store::building::chains_of(&image.config)?;
        let diff_ids = image.config.rootfs.diff_ids.iter();
        let layers = chains
            .into_iter()
            .zip(diff_ids)
            .zip(manifest.layers())
            .map(|((chain, diff_id), blob)| {
                let diff_id = diff_id.parse().unwrap_or_else(|_| chain.clone());
                Layer { chain, diff_id, blob: Some(blob.clone()), key: None }
            })
            .collect();
        let history = image.config.history.clone();
        Ok(State { layers, history, base: Some(Arc::new(image.clone())), ..State::default() })
    }
}

/// Builds one variant.
pub fn execute(build: &Build, variant: &VariantPlan, several: bool) -> Result<Finished, Error> {
    let vertexes = announce(build.report, variant, several);
    let slots = Slots::new(variant.stages.len());
    std::thread::scope(|scope| {
        for (at, stage) in variant.stages.iter().enumerate() {
            let (slots, vertexes) = (&slots, &vertexes);
            scope.spawn(move || {
                let builder =
                    StageBuilder { build, variant, stage, slots, vertexes: &vertexes[at] };
                let result = builder.run();
                if result.is_err() {
                    // whatever else is under way is in vain
                    build.services.cancellation.cancel();
                }
                slots.put(at, result);
            });
        }
    });
    slots.finish()
}

/// What came of all stages of a variant, in the order of the plan.
#[derive(Debug)]
pub struct Finished {
    pub stages: Vec<Arc<State>>,
}

impl Finished {
    /// The stage that becomes the image.
    pub fn target(&self) -> &State {
        &self.stages[self.stages.len() - 1]
    }
}

/// Where stages leave their results for each other.
pub struct Slots {
    state: Mutex<SlotState>,
    changed: Condvar,
}

struct SlotState {
    done: Vec<Option<Arc<State>>>,
    failed: bool,
    failure: Option<Error>,
}

impl Slots {
    fn new(stages: usize) -> Self {
        let state = SlotState { done: vec![None; stages], failed: false, failure: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits for a stage; [`Error::Cancelled`] once any stage failed.
    pub fn wait(&self, stage: usize) -> Result<Arc<State>, Error> {
        let mut state = self.lock();
        loop {
            if let Some(done) = &state.done[stage] {
                return Ok(done.clone());
            }
            if state.failed {
                return Err(Error::Cancelled);
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    fn put(&self, stage: usize, result: Result<State, Error>) {
        let mut state = self.lock();
        match result {
            Ok(done) => state.done[stage] = Some(Arc::new(done)),
            Err(error) => {
                state.failed = true;
                // the cause is told, not what it stopped
                if matches!(state.failure, None | Some(Error::Cancelled)) {
                    state.failure = Some(error);
                }
            }
        }
        self.changed.notify_all();
    }

    fn finish(self) -> Result<Finished, Error> {
        let state = self.state.into_inner().unwrap_or_else(|e| e.into_inner());
        if let Some(error) = state.failure {
            return Err(error);
        }
        let stages: Option<Vec<_>> = state.done.into_iter().collect();
        stages.map(|stages| Finished { stages }).ok_or(Error::Cancelled)
    }
}

/// The vertexes of a stage.
pub struct StageVertexes {
    pub base: VertexId,
    pub steps: Vec<VertexId>,
}

/// Numbers everything that will be done, and says so.
fn announce(report: &Report, variant: &VariantPlan, several: bool) -> Vec<StageVertexes> {
    let mut all: Vec<StageVertexes> = Vec::new();
    let mut vertexes = Vec::new();
    for stage in &variant.stages {
        let prefix = match several || stage.platform != variant.platform {
            true => format!("{} ", stage.platform),
            false => String::new(),
        };
        let count = stage.steps.len() + 1;
        // as BuildKit: the only stage needs no name
        let label = match (&stage.name, stage.number, variant.stages.len()) {
            (None, 0, 1) => String::new(),
            _ => format!("{} ", stage.label()),
        };
        let name = |number: usize, text: &str| format!("[{prefix}{label}{number}/{count}] {text}");
        let base = report.number();
        let inputs = match &stage.base {
            Base::Stage(at) => vec![last(&all[*at])],
            _ => Vec::new(),
        };
        let from = match &stage.base {
            Base::Scratch => "FROM scratch".to_owned(),
            Base::Stage(at) => format!("FROM {}", variant.stages[*at].label()),
            Base::Image(image) => format!("FROM {}@{}", image.reference, image.digest),
        };
        vertexes.push(Vertex { id: base, name: name(1, &from), inputs, line: Some(stage.line) });
        let mut own = StageVertexes { base, steps: Vec::new() };
        for (at, step) in stage.steps.iter().enumerate() {
            let id = report.number();
            let mut inputs = vec![last(&own)];
            inputs.extend(needs(step).into_iter().map(|stage| last(&all[stage])));
            let line = Some(step.line());
            vertexes.push(Vertex { id, name: name(at + 2, &step.name), inputs, line });
            own.steps.push(id);
        }
        all.push(own);
    }
    report.announce(&vertexes);
    all
}

fn last(stage: &StageVertexes) -> VertexId {
    *stage.steps.last().unwrap_or(&stage.base)
}

/// The stages that a step takes files from.
pub fn needs(step: &Step) -> Vec<usize> {
    let origins: Vec<&Origin> = match &step.operation {
        Operation::Workdir { .. } => Vec::new(),
        Operation::Copy(copy) => vec![&copy.origin],
        Operation::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| match mount {
                RunMount::Bind { origin, .. } => Some(origin),
                RunMount::Cache { origin, .. } => origin.as_ref(),
                _ => None,
            })
            .collect(),
    };
    let stage = |origin: &&Origin| match origin {
        Origin::Stage(at) => Some(*at),
        _ => None,
    };
    origins.iter().filter_map(stage).collect()
}
