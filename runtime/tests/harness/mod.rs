//! Runs the tests of an engine: each on the main thread of a process with no other thread, as the engines require, who
//! fork. Speaks as much of libtest's command line as cargo and nextest use.
//!
//! Shared by the test programs of this crate (`#[path]`).

use std::process::{Command, ExitCode};

/// What nextest shows, and what is run.
pub type Test = (&'static str, fn());

/// Names a module's tests, each a function without arguments that panics if it fails.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] =
            &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}

/// The whole of `main`.
pub fn run(modules: &[&[Test]]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = modules.concat();
    if flag("--list") {
        if !flag("--ignored") {
            all.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|f| if flag("--exact") { *f == name } else { name.contains(*f) })
    };
    let tests: Vec<Test> = all.into_iter().filter(|(name, _)| wanted(name)).collect();
    if let ([(_, test)], true) = (tests.as_slice(), flag("--exact")) {
        test();
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, _) in &tests {
        let own = std::env::current_exe().unwrap();
        let passed = Command::new(own).args([name, "--exact"]).status().unwrap().success();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("test result: {} passed, {failed} failed", tests.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}
