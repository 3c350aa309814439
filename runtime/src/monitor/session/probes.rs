//! What a session does about its container's health.

use super::Session;
use crate::monitor::control::Response;
use crate::monitor::report::Failure;
use crate::state::HealthStatus;
use crate::sys::signal::Signal;
use knarr_core::spec::OnUnhealthy;
use std::io;

impl Session<'_> {
    /// Lets the probes go on, and does what follows from one that has ended.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        let Some(probes) = &mut self.probes else { return Ok(()) };
        let Some(ended) = probes.tick(self.networks.as_ref(), self.names.as_mut()) else {
            return Ok(());
        };
        for client in &mut self.clients {
            client.probed(probes.health());
        }
        match ended.action {
            OnUnhealthy::None => Ok(()),
            OnUnhealthy::Kill => {
                self.guest.signal(Signal::KILL)?;
                self.tell_kill(Signal::KILL.number());
                Ok(())
            }
            OnUnhealthy::Stop => {
                self.was_stopped = true;
                self.stop()
            }
            OnUnhealthy::Restart => {
                self.starts_again = true;
                self.stop()
            }
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        let signal = Signal::try_from(self.stop_signal).unwrap_or(Signal::TERM);
        self.kill_after(self.guest.grace());
        self.guest.signal(signal)?;
        self.tell_kill(signal.number());
        Ok(())
    }

    /// Tells what happens to the container, if it is one, and not a further process in it.
    pub(super) fn tell(&self, action: &str, more: &[(&str, String)]) {
        if self.listener.is_some() {
            self.guest.tell(action, more);
        }
    }

    pub(super) fn tell_kill(&self, signal: i32) {
        self.tell("kill", &[("signal", signal.to_string())]);
    }

    pub(super) fn pause(&mut self) -> Result<(), Failure> {
        // before it is frozen, the probe as well
        if let Some(probes) = &mut self.probes {
            probes.pause();
        }
        let paused = self.guest.pause();
        self.resume_probes();
        paused
    }

    /// Sends a signal that a client asked for, which lets a paused guest go on.
    pub(super) fn signal(&mut self, number: i32) -> Result<(), Failure> {
        let result = self.guest.signal_number(number);
        if result.is_ok() {
            self.tell_kill(number);
        }
        self.resume_probes();
        result
    }

    pub(super) fn resume(&mut self) -> Result<(), Failure> {
        let resumed = self.guest.resume();
        self.resume_probes();
        resumed
    }

    fn resume_probes(&mut self) {
        if let Some(probes) = &mut self.probes
            && !self.guest.is_paused()
        {
            probes.resume();
        }
    }

    /// `None` if the answer comes later.
    pub(super) fn await_health(&self, until: &[HealthStatus]) -> Option<Response> {
        match self.probes.as_ref().map(|probes| probes.health().status) {
            Some(status) if !until.contains(&status) => None,
            status => Some(Response::Health(status)),
        }
    }

    pub(super) fn hasten_probe(&mut self) -> Option<Response> {
        match &mut self.probes {
            Some(probes) => {
                probes.hasten();
                None
            }
            None => Some(Response::Health(None)),
        }
    }
}
