//! What a session does about further guests of a Wasm container: each has a child of the monitor, which serves its client.

use super::Session;
use crate::monitor::control::{Request, Response};
use crate::monitor::exec;
use crate::monitor::further::Place;
use crate::monitor::report::Failure;
use crate::net::names::Resolver;
use crate::sys::process::{self, Process};
use crate::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long further guests may take to end with their container.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where further guests go, and the children that serve them.
#[derive(Debug)]
pub(in crate::monitor) struct Further<'a> {
    pub place: Place<'a>,
    /// With the words that each guest was started with.
    pub children: Vec<(Process, Vec<String>)>,
}

impl Session<'_> {
    /// Does what a client asks that a child of the monitor is to answer.
    pub(super) fn execute(&mut self, at: usize, request: &Request) {
        let Request::Execute { execution, attached } = request else { return };
        let monitor = rustix::process::getpid();
        let channel = self.names.as_mut().map(Resolver::channel).transpose();
        let result = match (&mut self.further, channel) {
            (None, _) => Ok(()),
            (Some(_), Err(e)) => Err(Failure::new(&e, None, 125)),
            (Some(further), Ok(channel)) => {
                let client = self.clients.swap_remove(at).hand_over();
                match process::fork() {
                    Ok(Some(child)) => further.children.push((child, execution.args.clone())),
                    Ok(None) => {
                        let asked = (execution.as_ref(), *attached);
                        let place = &further.place;
                        let serve = || exec::serve_further(monitor, place, asked, client, channel);
                        // nothing of the monitor's is to be undone here
                        let _ = catch_unwind(AssertUnwindSafe(serve));
                        process::leave()
                    }
                    // whoever asked sees that the connection ends
                    Err(_) => {}
                }
                return;
            }
        };
        // a native container's processes are the business of whoever wants them
        let response = result.map_or_else(Response::Failed, |()| Response::Done);
        self.clients[at].answer(request, Some(&response));
    }

    /// Collects the children that have ended.
    pub(super) fn reap_further(&mut self) {
        if let Some(further) = &mut self.further {
            further.children.retain(|(child, _)| {
                let goes_on = !child.has_ended();
                if !goes_on {
                    let _ = child.reap();
                }
                goes_on
            });
        }
    }

    /// The processes of further guests with their commands.
    pub(super) fn further_commands(&self) -> Vec<(u32, Vec<String>)> {
        let children = self.further.iter().flat_map(|further| &further.children);
        let guests = children.flat_map(|(child, args)| {
            process::child_ids(child.id()).into_iter().map(|guest| (guest, args.clone()))
        });
        guests.collect()
    }

    /// The container has ended, and so do its further guests. Their clients are told.
    pub fn end_further(&mut self) {
        let Some(further) = &mut self.further else { return };
        let children = std::mem::take(&mut further.children);
        for (child, _) in &children {
            let _ = child.signal(Signal::TERM);
        }
        let until = Instant::now() + FAREWELL;
        for (child, _) in &children {
            let left = super::timeout(Some(until));
            let _ = poll(&mut [PollFd::new(child, PollFlags::IN)], left.as_ref());
            // one that does not end is killed with this process
            if child.has_ended() {
                let _ = child.reap();
            }
        }
    }
}
