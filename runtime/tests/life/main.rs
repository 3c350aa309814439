//! The life of containers: monitors, their deaths, and the verbs, over busybox and a Wasm guest.
//!
//! A harness of its own, speaking as much of libtest's command line as cargo and nextest use. The same program is what
//! `/proc/self/exe` must be: it is started as `internal monitor …`, and as the commands of a user (`command`).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // a test that cannot go on panics

mod command;
mod copying;
mod deaths;
mod fixture;
mod many;
mod users;
mod verbs;

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
    [copying::TESTS, deaths::TESTS, many::TESTS, users::TESTS, verbs::TESTS].concat()
}

fn main() -> ExitCode {
    if let Some(code) = command::dispatch() {
        return code;
    }
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
