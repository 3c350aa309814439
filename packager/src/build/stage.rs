//! One stage: its steps one after the other, each from the cache if it can be.

use super::cache::transfer;
use super::content::Key;
use super::execute::{Build, Layer, Slots, StageVertexes, State};
use super::plan::{Base, Operation, StagePlan, Step, VariantPlan};
use super::progress::{Event, VertexId};
use super::{Error, steps};
use crate::dockerfile::Excerpt;
use knarr_core::image::Digest;
use knarr_core::store::LayerBuild;
use knarr_core::store::building::chain_above;
use knarr_core::store::cached::CachedStep;
use std::time::Instant;

/// What the build of one stage stands on.
pub struct StageBuilder<'a> {
    pub build: &'a Build<'a>,
    pub variant: &'a VariantPlan,
    pub stage: &'a StagePlan,
    pub slots: &'a Slots,
    pub vertexes: &'a StageVertexes,
}

/// What decides about a step's result.
pub struct StepKey {
    /// Without the layers below: the same changes whatever they are made on (`COPY --link`).
    pub independent: Option<Digest>,
    pub full: Digest,
}

/// What a step did.
pub enum Made {
    Changes,
    /// Nothing, and it makes no layer.
    Nothing,
}

impl StageBuilder<'_> {
    pub fn run(&self) -> Result<State, Error> {
        let report = self.build.report;
        let mut state = match &self.stage.base {
            Base::Scratch => {
                report.event(Event::Cached(self.vertexes.base));
                State::default()
            }
            Base::Stage(at) => {
                let state = self.slots.wait(*at).inspect_err(|_| self.cancel_rest(0))?;
                report.event(Event::Cached(self.vertexes.base));
                (*state).clone()
            }
            Base::Image(image) => {
                let state = self.build.begin(image)?;
                report.event(Event::Cached(self.vertexes.base));
                state
            }
        };
        for (at, step) in self.stage.steps.iter().enumerate() {
            let vertex = self.vertexes.steps[at];
            let result = self.check().and_then(|()| self.step(step, vertex, &mut state));
            if let Err(error) = result {
                let error = match error {
                    Error::Cancelled => error,
                    error => located(step, error),
                };
                report.failed(vertex, &error);
                self.cancel_rest(at + 1);
                return Err(error);
            }
            self.note(Some(at), &mut state);
        }
        if self.stage.steps.is_empty() {
            self.note(None, &mut state);
        }
        Ok(state)
    }

    /// Nothing is begun once the build is to stop.
    pub fn check(&self) -> Result<(), Error> {
        match self.build.services.cancellation.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    fn cancel_rest(&self, from: usize) {
        for vertex in &self.vertexes.steps[from..] {
            self.build.report.event(Event::Cancelled(*vertex));
        }
    }

    /// Adds the lines of the history up to and with a step, and after the last step the rest.
    fn note(&self, done: Option<usize>, state: &mut State) {
        let created = self.build.created();
        let own = &self.stage.history;
        let position = |step: usize| own.iter().position(|entry| entry.step == Some(step));
        let (from, to) = match done {
            None => (0, own.len()),
            Some(at) => {
                let from = if at == 0 { 0 } else { position(at - 1).map_or(0, |p| p + 1) };
                let is_last = at + 1 == self.stage.steps.len();
                let to =
                    if is_last { own.len() } else { position(at).map_or(own.len(), |p| p + 1) };
                (from, to)
            }
        };
        for entry in &own[from..to] {
            let has_layer = entry.step.is_some() && entry.step == done && state.added;
            let time = match has_layer {
                true => state.step_created.clone().unwrap_or_else(|| created.clone()),
                false => created.clone(),
            };
            state.history.push(entry.entry(&time, !has_layer));
        }
    }

    fn step(&self, step: &Step, vertex: VertexId, state: &mut State) -> Result<(), Error> {
        match &step.operation {
            Operation::Workdir { path, user } => {
                steps::workdir::run(self, step, vertex, (path, user), state)
            }
            Operation::Copy(copy) => steps::copying::run(self, step, vertex, copy, state),
            Operation::Run(run) => steps::run::run(self, step, vertex, run, state),
        }
    }

    /// A key that begins with what every step depends on.
    pub fn key(&self, kind: &str) -> Key {
        let mut key = Key::new(kind);
        key.text(transfer::KEY_VERSION);
        match self.build.clock.epoch {
            None => key.text("now"),
            Some(epoch) => key.text("at").number(epoch as u64),
        };
        key
    }

    /// Adds what is below to a key.
    pub fn on_top(&self, mut key: Key, state: &State) -> Digest {
        match state.chain() {
            None => key.text("scratch"),
            Some(chain) => key.text(chain.as_ref()),
        };
        key.finish()
    }

    /// Takes a step's result from the cache, or makes it. Two builds, or two variants of one, that want the same step do it
    /// once.
    pub fn cached(
        &self,
        step: &Step,
        vertex: VertexId,
        key: &StepKey,
        state: &mut State,
        make: &mut dyn FnMut(&LayerBuild, &State) -> Result<Made, Error>,
    ) -> Result<(), Error> {
        let report = self.build.report;
        if !self.stage.no_cache
            && let Some(found) = self.look_up(key, state)?
        {
            report.event(Event::Cached(vertex));
            self.push(state, key, &found);
            return Ok(());
        }
        let begun_wait = jiff::Timestamp::now();
        let claim = self.build.cache.claim(&key.full)?;
        self.check()?;
        // without the cache, what another build finished while this one waited is as good as new
        if let Some(found) = self.look_up(key, state)?
            && (!self.stage.no_cache || is_since(&found, begun_wait))
        {
            report.event(Event::Cached(vertex));
            self.push(state, key, &found);
            return Ok(());
        }
        if !self.stage.no_cache
            && let Some(found) = self.build.imports.find(self.build, &key.full, state, vertex)?
        {
            self.build.cache.put(&key.full, &found)?;
            report.event(Event::Cached(vertex));
            self.push(state, key, &found);
            return Ok(());
        }
        report.event(Event::Started(vertex));
        let begun = Instant::now();
        let layer = self.build.store.build_layer()?;
        let made = make(&layer, state)?;
        let latest = self.build.clock.epoch;
        let found = match made {
            Made::Nothing => {
                let below = state.layers.last();
                let nothing = knarr_core::store::digest_of(b"");
                CachedStep {
                    chain: below.map_or_else(|| nothing.clone(), |layer| layer.chain.clone()),
                    diff_id: below.map_or(nothing, |layer| layer.diff_id.clone()),
                    size: 0,
                    empty: true,
                    created: self.build.created(),
                    description: step.name.clone(),
                }
            }
            Made::Changes => {
                let built = layer.finish(state.chain(), latest)?;
                CachedStep {
                    chain: built.chain,
                    diff_id: built.info.diff_id,
                    size: built.info.size,
                    empty: false,
                    created: self.build.created(),
                    description: step.name.clone(),
                }
            }
        };
        self.build.cache.put(&key.full, &found)?;
        if let Some(independent) = &key.independent {
            self.build.cache.put(independent, &found)?;
        }
        drop(claim);
        report.event(Event::Done { vertex, took: begun.elapsed() });
        self.push(state, key, &found);
        Ok(())
    }

    fn look_up(&self, key: &StepKey, state: &State) -> Result<Option<CachedStep>, Error> {
        if let Some(found) = self.build.cache.find(&key.full)? {
            return Ok(Some(found));
        }
        let Some(independent) = &key.independent else { return Ok(None) };
        let Some(found) = self.build.cache.find(independent)? else { return Ok(None) };
        let chain = chain_above(state.chain(), &found.diff_id);
        if !self.build.store.has_layer(&chain) {
            let rebased = self.build.store.rebase_layer(&found.chain, state.chain())?;
            if rebased.chain != chain {
                return Ok(None);
            }
        }
        let rebased = CachedStep { chain, ..found };
        self.build.cache.put(&key.full, &rebased)?;
        Ok(Some(rebased))
    }

    fn push(&self, state: &mut State, key: &StepKey, found: &CachedStep) {
        state.added = !found.empty;
        state.step_created = Some(found.created.clone());
        if !found.empty {
            state.layers.push(Layer {
                chain: found.chain.clone(),
                diff_id: found.diff_id.clone(),
                blob: None,
                key: Some(key.full.clone()),
            });
        }
    }
}

/// Whether a step was run after this moment.
fn is_since(step: &CachedStep, moment: jiff::Timestamp) -> bool {
    step.created.parse::<jiff::Timestamp>().is_ok_and(|created| created >= moment)
}

/// Says which instruction an error is about.
fn located(step: &Step, error: Error) -> Error {
    match error {
        Error::Instruction { .. } | Error::Dockerfile(_) => error,
        error => Error::Instruction {
            instruction: step.name.clone(),
            excerpt: Box::new(Excerpt::new(&step.source, step.span)),
            source: Box::new(error),
        },
    }
}
