//! Native containers, seen from inside and from the host.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a test, though clippy cannot know

mod exec;
mod fixture;
mod hosts;
mod isolation;
mod leftovers;
mod limits;
mod mounts;
mod process;

#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[
        exec::TESTS,
        hosts::TESTS,
        isolation::TESTS,
        leftovers::TESTS,
        limits::TESTS,
        mounts::TESTS,
        process::TESTS,
    ])
}
