//! The Wasm engine from outside: guests started by `wasm::start`, judged by their output, their exit codes and what
//! `/proc` says of their processes.

// no `#[test]` here, by which clippy would know that these are tests
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::undocumented_unsafe_blocks
)]

mod accept;
mod cache;
mod container;
mod drain;
mod files;
mod http;
mod isolation;
mod memory;
mod network;
mod programs;
mod reuse;
mod stop;
mod wire;

#[path = "../harness/mod.rs"]
mod harness;

use harness::Test;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[
        accept::TESTS,
        cache::TESTS,
        drain::TESTS,
        files::TESTS,
        http::TESTS,
        isolation::TESTS,
        memory::TESTS,
        network::TESTS,
        programs::TESTS,
        reuse::TESTS,
        stop::TESTS,
        wire::TESTS,
    ])
}
