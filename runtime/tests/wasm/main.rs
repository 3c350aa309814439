//! The Wasm engine from outside: guests started by `wasm::start`, judged by their output, their exit codes and what
//! `/proc` says of their processes.
//!
//! `wasm::start` forks a process that must have a single thread, and the usual test harness has two: this one has a
//! `main` of its own, which speaks enough of the harness's protocol for `cargo test` and `cargo nextest`.

// no `#[test]` here, by which clippy would know that these are tests
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::undocumented_unsafe_blocks
)]

mod container;
mod files;
mod http;
mod isolation;
mod network;
mod programs;
mod stop;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

type Test = (&'static str, fn());

fn tests() -> Vec<Test> {
    [files::TESTS, http::TESTS, isolation::TESTS, network::TESTS, programs::TESTS, stop::TESTS]
        .concat()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    if has("--list") {
        if !has("--ignored") {
            tests().iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let chosen = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|f| if has("--exact") { name == *f } else { name.contains(*f) })
    };
    let mut failed = Vec::new();
    for (name, test) in tests().into_iter().filter(|(name, _)| chosen(name)) {
        println!("test {name} ...");
        if catch_unwind(AssertUnwindSafe(test)).is_err() {
            failed.push(name);
        }
    }
    match failed.as_slice() {
        [] => ExitCode::SUCCESS,
        failed => {
            println!("failed: {}", failed.join(", "));
            ExitCode::FAILURE
        }
    }
}
