//! What this program does when it is started as something else than a test: a monitor, or a user's command.

use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::monitor::{self, Attach, End};
use knarr_runtime::{container, net, state};
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Runs such a command; `None` if this is a test run.
pub fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    match (words.next()?.to_str()?, words.next()?.to_str()?) {
        ("internal", "monitor") => Some(monitor::entry(words, &mut |e| eprintln!("{e}"))),
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
    let store = Store::open(&Root::at(&words[0])).unwrap();
    let id: ContainerId = word(1).parse().unwrap();
    let attach = Attach { stdin: true, detach_keys: Default::default(), forward_signals: true };
    let result = match verb {
        "start" => container::start(&store, &id).map(|()| End::Detached),
        "run" => container::run::run(&store, &id, &attach),
        "exec" => {
            let text = |word: &OsString| word.to_str().unwrap().to_owned();
            let execution = monitor::Execution {
                args: words[2..].iter().map(text).collect(),
                ..Default::default()
            };
            container::exec(&store, &id, &execution, &Default::default())
        }
        "die-attaching" => die_attaching(store.root(), &id, word(2).parse().unwrap()),
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

/// A monitor that dies on its way to its networks, after some steps or after all of them.
fn die_attaching(root: &Root, id: &ContainerId, mut left: usize) -> ! {
    let container = state::load(root, id).unwrap();
    let run = root.container(id).run().to_owned();
    knarr_core::sys::create_private_dir_all(&run).unwrap();
    let _monitor = Lock::exclusive_directory(&run).unwrap();
    let mut observe = |_| {
        if left == 0 {
            die();
        }
        left -= 1;
        Ok(())
    };
    let name = &container.state.name;
    let _attached = net::attach(root, &container.spec, name, &mut observe).unwrap();
    // beside the root: that was all
    knarr_core::fsx::write(&root.data().join("../attached"), "").unwrap();
    die()
}

fn die() -> ! {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    unreachable!()
}
