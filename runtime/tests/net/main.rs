//! Networks, as the kernel has them: each test in a network namespace of its own, in which it is the host, with another
//! one behind it that is the outside.
//!
//! This program is also what `/proc/self/exe` must be: see `command`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // a test that cannot go on panics

mod addresses;
mod apart;
mod command;
mod everywhere;
mod faults;
mod flows;
mod guests;
mod host;
mod live;
mod loopback;
mod mixed;
mod outbound;
mod reach;
mod resolve;

#[allow(dead_code)] // not everything is of use here
#[path = "../life/fixture.rs"]
mod fixture;
#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

/// A container on these networks.
pub fn on(networks: &[&str]) -> fixture::RunOptions {
    use knarr_core::spec::{Attachment, NetworkMode};
    let wish = |name: &&str| Attachment { network: (*name).to_owned(), ..Default::default() };
    let network = Some(NetworkMode::Networks(networks.iter().map(wish).collect()));
    fixture::RunOptions { network, ..Default::default() }
}

/// Ends a container, and waits until its monitor has.
pub fn stop(fixture: &fixture::Fixture, id: &knarr_core::id::ContainerId) {
    knarr_runtime::container::kill(&fixture.store, id, "KILL").unwrap();
    knarr_runtime::monitor::wait_for_end(fixture.root(), id).unwrap();
}

fn main() -> ExitCode {
    if let Some(code) = command::dispatch() {
        return code;
    }
    harness::run(&[
        addresses::TESTS,
        apart::TESTS,
        everywhere::TESTS,
        faults::TESTS,
        flows::TESTS,
        live::TESTS,
        loopback::TESTS,
        mixed::TESTS,
        outbound::TESTS,
        reach::TESTS,
        resolve::TESTS,
    ])
}
