//! The life of containers: monitors, their deaths, and the verbs, over busybox and a Wasm guest.
//!
//! This program is also what `/proc/self/exe` must be: it is started as `internal monitor …`, and as the commands of a
//! user (`command`).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // a test that cannot go on panics

mod command;
mod copying;
mod deaths;
mod fixture;
mod many;
mod steps;
mod users;
mod verbs;

#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = command::dispatch() {
        return code;
    }
    harness::run(&[
        copying::TESTS,
        deaths::TESTS,
        many::TESTS,
        steps::TESTS,
        users::TESTS,
        verbs::TESTS,
    ])
}
