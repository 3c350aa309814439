//! The guest as its monitor holds it: what can be done to it while it lives.

use super::Error;
use super::report::Failure;
use crate::engine::wasm::LastWords;
use crate::engine::{self, native};
use crate::state;
use crate::sys::process::Process;
use crate::sys::signal::Signal;
use knarr_core::events;
use knarr_core::hint::Hint;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, EngineKind};
use std::io;

#[derive(Debug)]
pub(super) struct Guarded<'a> {
    root: &'a Root,
    spec: &'a ContainerSpec,
    process: Process,
    paused: bool,
    last_words: Option<LastWords>,
}

impl<'a> Guarded<'a> {
    pub fn new(root: &'a Root, spec: &'a ContainerSpec, process: Process) -> Self {
        Self { root, spec, process, paused: false, last_words: None }
    }

    /// Who says at the end what the exit code does not.
    pub fn with(self, last_words: Option<LastWords>) -> Self {
        Self { last_words, ..self }
    }

    /// Whether the container, which has ended, had no memory left: its engine or the kernel says so.
    pub fn ran_out_of_memory(&mut self) -> bool {
        self.spec.limits.memory.is_some()
            && (self.last_words.take().is_some_and(LastWords::out_of_memory)
                || native::was_oom_killed(self.root, &self.spec.id).unwrap_or(false))
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.process.signal(signal)
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Seconds between the stop signal and SIGKILL.
    pub fn grace(&self) -> i64 {
        self.spec.process.stop_timeout.unwrap_or(knarr_core::spec::Process::GRACE).into()
    }

    /// Sends a signal that a client asked for. A paused guest is resumed, since it could not act on it.
    pub fn signal_number(&mut self, number: i32) -> Result<(), Failure> {
        let result = Signal::try_from(number)
            .map_err(|e| Failure::new(&e, e.hint(), 125))
            .and_then(|signal| self.signal(signal).map_err(|e| Failure::new(&e, None, 125)));
        if result.is_ok() && self.paused {
            return self.resume();
        }
        result
    }

    pub fn pause(&mut self) -> Result<(), Failure> {
        self.change(state::ContainerState::paused, true).map_err(|e| e.to_failure())
    }

    pub fn resume(&mut self) -> Result<(), Failure> {
        self.change(state::ContainerState::resumed, false).map_err(|e| e.to_failure())
    }

    /// The record says what is true even if freezing fails: it is written after it.
    fn change(
        &mut self,
        transition: fn(&mut state::ContainerState) -> Result<(), (state::Status, state::Status)>,
        paused: bool,
    ) -> Result<(), Error> {
        let mut locked = state::Locked::take(self.root, &self.spec.id)?;
        transition(&mut locked.state().clone()).map_err(|(from, to)| {
            state::Error::IllegalTransition { id: self.spec.id.clone(), from, to }
        })?;
        match self.spec.engine {
            EngineKind::Native if paused => native::pause(self.root, &self.spec.id)?,
            EngineKind::Native => native::resume(self.root, &self.spec.id)?,
            // they cannot refuse
            EngineKind::Wasm => {
                let signal = if paused { Signal::STOP } else { Signal::CONT };
                self.signal(signal).map_err(|source| Error::Signal { source })?;
                for further in engine::further(std::process::id()) {
                    // one that has ended needs no signal
                    let _ = Process::open(further).and_then(|process| process.signal(signal));
                }
            }
        }
        locked.apply(transition)?;
        self.paused = paused;
        let action = if paused { "pause" } else { "unpause" };
        events::tell(self.root, &[state::event(self.spec, &locked.state().name, action)]);
        Ok(())
    }

    /// Tells what happens to the container.
    pub fn tell(&self, action: &str, more: &[(&str, String)]) {
        state::tell(self.root, self.spec, action, more);
    }

    /// Collects the exit code of a guest that has ended.
    pub fn reap(&self) -> io::Result<u8> {
        self.process.reap()
    }
}
