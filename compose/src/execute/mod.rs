//! Carrying out a plan: each step when those before it are done, as many at once as may be.

use crate::plan::{Action, OnFailure, Plan};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Steps at once where nobody asked for a number: many of them only wait.
const AT_ONCE: usize = 64;

/// What a plan is carried out with: images, containers, networks and volumes of this machine.
pub trait Ops: Sync {
    type Error: Send;

    /// Does one thing, and returns when it is done. What is there already, or gone already, is done.
    fn perform(&self, action: &Action) -> Result<(), Self::Error>;
}

/// Hears of each step, from the thread that takes it.
pub trait Watch<E>: Sync {
    fn begun(&self, step: usize, action: &Action);
    fn ended(&self, step: usize, action: &Action, result: Result<(), &E>, took: Duration);
}

/// Nobody watches.
impl<E> Watch<E> for () {
    fn begun(&self, _: usize, _: &Action) {}
    fn ended(&self, _: usize, _: &Action, _: Result<(), &E>, _: Duration) {}
}

/// What became of a plan.
#[derive(Debug)]
pub struct Report<E> {
    /// The steps that failed, in the order in which they did.
    pub failed: Vec<(usize, E)>,
    /// The steps that were not taken.
    pub left: Vec<usize>,
}

/// Takes the steps of a plan. `parallel`: at most as many at once. Steps that have begun are finished when another has failed or
/// `cancel` is set; what they have done stays, and a new plan goes on from there.
pub fn execute<O: Ops>(
    plan: &Plan,
    ops: &O,
    watch: &dyn Watch<O::Error>,
    parallel: Option<usize>,
    cancel: &AtomicBool,
) -> Report<O::Error> {
    let work = Work {
        plan,
        progress: Mutex::new(Progress::of(plan)),
        changed: Condvar::new(),
        ops,
        watch,
        cancel,
    };
    let threads = parallel.unwrap_or(AT_ONCE).clamp(1, plan.steps.len().max(1));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let progress = work.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    let left = progress.states.iter().enumerate().filter(|(_, state)| **state == State::Waits);
    Report { left: left.map(|(step, _)| step).collect(), failed: progress.failed }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    Done,
    Failed,
}

struct Progress<E> {
    states: Vec<State>,
    running: usize,
    failed: Vec<(usize, E)>,
}

impl<E> Progress<E> {
    fn of(plan: &Plan) -> Self {
        Self { states: vec![State::Waits; plan.steps.len()], running: 0, failed: Vec::new() }
    }
}

struct Work<'a, O: Ops> {
    plan: &'a Plan,
    progress: Mutex<Progress<O::Error>>,
    changed: Condvar,
    ops: &'a O,
    watch: &'a dyn Watch<O::Error>,
    cancel: &'a AtomicBool,
}

impl<O: Ops> Work<'_, O> {
    fn lock(&self) -> MutexGuard<'_, Progress<O::Error>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does until there is nothing left.
    fn run(&self) {
        while let Some(step) = self.take() {
            let action = &self.plan.steps[step].action;
            self.watch.begun(step, action);
            let begun = Instant::now();
            let result = self.ops.perform(action);
            self.watch.ended(step, action, result.as_ref().copied(), begun.elapsed());
            let mut progress = self.lock();
            progress.running -= 1;
            progress.states[step] = match result {
                Ok(()) => State::Done,
                Err(error) => {
                    progress.failed.push((step, error));
                    State::Failed
                }
            };
            drop(progress);
            self.changed.notify_all();
        }
    }

    /// The next step that can be taken; waits for one. `None`: there will be none.
    fn take(&self) -> Option<usize> {
        let mut progress = self.lock();
        loop {
            let stops = self.cancel.load(Ordering::Relaxed)
                || (!progress.failed.is_empty() && self.plan.on_failure == OnFailure::Stop);
            let next = if stops { None } else { self.ready(&progress) };
            match next {
                Some(step) => {
                    progress.states[step] = State::Runs;
                    progress.running += 1;
                    return Some(step);
                }
                None if progress.running == 0 => return None,
                None => {
                    let waited = self.changed.wait(progress);
                    progress = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn ready(&self, progress: &Progress<O::Error>) -> Option<usize> {
        let states = &progress.states;
        let is_over = |step: &usize| match states[*step] {
            State::Done => true,
            State::Failed => self.plan.on_failure == OnFailure::GoOn,
            State::Waits | State::Runs => false,
        };
        let mut steps = self.plan.steps.iter().enumerate();
        let found =
            steps.find(|(at, step)| states[*at] == State::Waits && step.after.iter().all(is_over));
        found.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests;
