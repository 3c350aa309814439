//! Native containers, seen from inside and from the host.
//!
//! A test harness of its own, speaking as much of libtest's command line as cargo and nextest use: every test runs on the
//! main thread of a process with no other, as the engine requires.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a test, though clippy cannot know

mod exec;
mod fixture;
mod hosts;
mod isolation;
mod leftovers;
mod limits;
mod mounts;
mod process;

use std::process::{Command, ExitCode};

type Test = (&'static str, fn());

/// Names a module's tests.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[$crate::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}

fn all() -> Vec<Test> {
    let modules = [
        exec::TESTS,
        hosts::TESTS,
        isolation::TESTS,
        leftovers::TESTS,
        limits::TESTS,
        mounts::TESTS,
        process::TESTS,
    ];
    modules.concat()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    if flag("--list") {
        if !flag("--ignored") {
            all().iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|f| if flag("--exact") { *f == name } else { name.contains(*f) })
    };
    let tests: Vec<Test> = all().into_iter().filter(|(name, _)| wanted(name)).collect();
    if let ([(_, test)], true) = (tests.as_slice(), flag("--exact")) {
        test();
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, _) in &tests {
        let own = std::env::current_exe().unwrap();
        let passed = Command::new(own).args([name, "--exact"]).status().unwrap().success();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    println!("test result: {} passed, {} failed", tests.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
