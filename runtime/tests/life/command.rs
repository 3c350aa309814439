//! What this program does when it is started as something else than a test: a monitor, or a user's command.

use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::container;
use knarr_runtime::monitor::{self, Attach, End, Start, Step};
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Runs such a command; `None` if this is a test run.
pub fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    match (words.next()?.to_str()?, words.next()?.to_str()?) {
        ("internal", "monitor") => Some(monitor::entry(words, &mut |e| eprintln!("{e}"))),
        ("internal", "step") => Some(knarr_runtime::oneshot::entry(words)),
        ("command", "step-to-be-killed") => Some(crate::steps::to_be_killed(words.collect())),
        ("command", "step-of-a-user") => Some(crate::steps::of_a_user()),
        ("command", "scenario-of-a-user") => {
            crate::users::scenario();
            Some(ExitCode::SUCCESS)
        }
        ("command", verb) => Some(command(verb, words.collect())),
        _ => None,
    }
}

/// A user's command in a process of its own.
pub fn command_of(root: &Root, verb: &str, id: &ContainerId, rest: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["command", verb]).arg(root.data()).arg(id.as_str()).args(rest);
    command
}

fn command(verb: &str, words: Vec<OsString>) -> ExitCode {
    let word = |at: usize| words[at].to_str().unwrap();
    let root = Root::at(&words[0]);
    let store = Store::open(&root).unwrap();
    let id: ContainerId = word(1).parse().unwrap();
    let attach = |stdin| Attach { stdin, detach_keys: Default::default(), forward_signals: true };
    let result = match verb {
        "run" => container::run::run(&store, &id, &attach(true)),
        "start-attached" => container::run::start_attached(&store, &id, &attach(true)),
        "attach" => container::attach::attach(&store, &id, &attach(true)),
        "exec" => {
            let text = |word: &OsString| word.to_str().unwrap().to_owned();
            let execution = monitor::Execution {
                args: words[2..].iter().map(text).collect(),
                ..Default::default()
            };
            container::exec(&store, &id, &execution, &Default::default())
        }
        "copy-out" => {
            let target = std::path::Path::new(word(3));
            container::copy::from_container(&store, &id, word(2), target, Default::default())
                .map(|()| End::Detached)
        }
        "wait" => container::wait(&store, &id).map(|code| {
            End::Exited(knarr_runtime::state::Exit { code, oom_killed: false, error: None })
        }),
        "start" => container::start(&store, &id).map(|()| End::Detached),
        // a monitor that dies at the step that is named
        "die-at" => {
            let step = word(2).to_owned();
            let mut observe = move |at: Step| {
                if format!("{at:?}") == step {
                    let own = rustix::process::getpid();
                    rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
                }
            };
            let start = Start {
                seat: None,
                foreground: false,
                client: None,
                size: (24, 80),
                ready: &mut || {},
                observe: &mut observe,
            };
            monitor::run(&store, &id, start).map(End::Exited).map_err(container::Error::from)
        }
        other => panic!("{other}"),
    };
    match result {
        Ok(End::Exited(exit)) => ExitCode::from(exit.code),
        Ok(End::Detached) => ExitCode::SUCCESS,
        Ok(End::Signalled(signal)) => ExitCode::from(128 + signal.number() as u8),
        Err(error) => {
            eprintln!("{}", crate::fixture::chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
